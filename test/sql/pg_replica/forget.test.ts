/** History that stays bounded: what the cluster is set to keep, and what readers and retries of the rest are told. */
import type pg from "pg";
import { beforeEach, expect, test } from "vitest";
import { errorOf } from "../../support/sql.ts";
import { lead } from "./stores.ts";
import { follower, leader, stores, useTwoStores, working } from "./two-stores.ts";

useTwoStores("forget");
beforeEach(() => {
  working.push(lead(leader, stores));
});

async function value(db: pg.Client, call: string, values: unknown[] = []) {
  const { rows } = await db.query(`select ${call} as v`, values);
  return rows[0].v;
}
const replicate = (n: number) =>
  value(
    leader.db,
    "pg_replica.replicate(array(select 'item ' || g from generate_series(1, $1) as g))",
    [n],
  );
const forgettable = () => value(leader.db, "cluster.forgettable()");
/** What a leader's coordinator proposes when it finds something. */
async function forget(): Promise<number> {
  let rounds = 0;
  for (let body = await forgettable(); body !== null; body = await forgettable()) {
    await value(leader.db, "node.propose(gen_random_uuid(), 'forget', $1)", [JSON.stringify(body)]);
    rounds += 1;
  }
  return rounds;
}

test("settings are seen, set and reset on any node, and refused beyond their range", async () => {
  const settings =
    "(select value || ' of ' || default_value from pg_replica.settings() where name = 'kept_events')";
  expect(await value(follower.db, settings)).toBe("100000 of 100000");
  expect(await value(follower.db, "pg_replica.set('kept_events', '5000')")).toBe(true);
  expect(await value(follower.db, settings)).toBe("5000 of 100000");
  await expect.poll(() => value(leader.db, settings)).toBe("5000 of 100000");
  expect(await value(leader.db, "pg_replica.reset('kept_events')")).toBe(true);
  expect(await value(leader.db, settings)).toBe("100000 of 100000");
  for (const [name, to] of [
    ["kept_events", "999"],
    ["kept_events", "1e9"],
    ["kept_wishes", "5000"],
  ]) {
    const error = await errorOf(leader.db.query("select pg_replica.set($1, $2)", [name, to]));
    expect(error.code).toBe("22023");
  }
});

test("the newest entries are kept, whole batches, and a reader of older ones is told (RF005)", async () => {
  await value(leader.db, "pg_replica.set('kept_entries', '1000')");
  const first = await replicate(1000);
  await replicate(50);
  expect(await forgettable()).toBeNull();
  const third = await replicate(60);
  // A batch that reaches into the newest thousand is kept.
  expect(await forgettable()).toBeNull();
  const fourth = await replicate(900);
  expect(await forget()).toBe(1);
  for (const { db } of stores) {
    await expect.poll(() => value(db, "(select entries_through from cluster.state)")).toBe(first);
    const kept = "(select count(*) from pg_replica.entries(max_rows => 100000))";
    expect(await value(db, kept)).toBe("1010");
    expect(await value(db, "(select count(*) from pg_replica.entries(0, 100000))")).toBe("1010");
    for (const after of ["1", `${first}::bigint - 1`]) {
      const error = await errorOf(db.query(`select * from pg_replica.entries(${after})`));
      expect(error).toMatchObject({
        code: "RF005",
        message: `entries up to ${first} are forgotten`,
      });
    }
    expect(await value(db, `(select min(index) from pg_replica.entries(${third}))`)).toBe(fourth);
    const next = BigInt(first) + 1n;
    const error = await errorOf(db.query(`select pgraft_log_get_entry(${first})`));
    expect(error.message).toBe(`pgraft: entry ${first} was compacted; first index is ${next}`);
    expect((await errorOf(db.query("select * from pgraft_log_get_entries(1)"))).code).toBe("RF005");
    expect((await errorOf(db.query(`select node.entries_after(1, 1, 10)`))).code).toBe("RF005");
    expect(await value(db, "node.entries_after(0, 0, 1) -> 0 ->> 'index'")).toBe(`${next}`);
  }
});

test("of large entries as many are kept as have so many bytes", async () => {
  await value(leader.db, "pg_replica.set('kept_entry_bytes', '16777216')");
  for (let n = 0; n < 17; n += 1)
    await value(leader.db, "pg_replica.replicate(repeat('x', 1000000))");
  expect(await forgettable()).toBeNull();
  for (let n = 0; n < 3; n += 1)
    await value(leader.db, "pg_replica.replicate(repeat('x', 1000000))");
  expect(await forget()).toBe(1);
  expect(await value(leader.db, "(select sum(length(data)) from cluster.entry)")).toBe("17000000");
});

test("a request_id commits once as long as its proposal is kept, and a retry from before is unknown", async () => {
  const index = await value(leader.db, "pg_replica.replicate('pay', 'order 17')");
  const key = await value(leader.db, "node.request_key('order 17')");
  const forgetTo = async (through: string) => {
    for (const { db } of stores) {
      // The stand-in for the workers applies without a log.
      await expect.poll(() => value(db, "(select count(*) > 0 from cluster.proposal)")).toBe(true);
      await db.query(`update raft.hard_state as h set last_index = p.last, commit_index = p.last, applied_index = p.last
        from (select max(log_index) as last from cluster.proposal) as p`);
    }
    const body = { entries: "0", proposals: through, events: "0", requests: "0" };
    await value(leader.db, "node.propose(gen_random_uuid(), 'forget', $1)", [JSON.stringify(body)]);
  };
  await forgetTo(`${BigInt(index) - 1n}`);
  expect(await value(follower.db, "pg_replica.replicate('pay', 'order 17')")).toBe(index);
  await forgetTo(index);
  // The same proposal as before comes again, from a session that began before it was forgotten.
  const late = {
    data: ["pay"],
    request_id: "order 17",
    asked: 1,
    since: `${BigInt(index) - 1n}`,
  };
  await leader.db.query("select raft.put_inbox($1, 'entry', $2)", [key, JSON.stringify(late)]);
  await leader.db.query("notify pg_replica_wake, 'inbox'");
  await expect
    .poll(() => value(leader.db, "(select outcome from cluster.proposal where client = $1)", [key]))
    .toBe("too_late");
  expect(
    (await errorOf(leader.db.query("select pg_replica.replicate('pay', 'order 17')"))).code,
  ).toBe("RF003");
  expect(await value(leader.db, "(select count(*) from cluster.entry)")).toBe("1");
});

test("events and finished requests are forgotten, never the newest nor one that goes on", async () => {
  await value(leader.db, "pg_replica.set('kept_events', '1000')");
  await value(leader.db, "pg_replica.set('kept_requests', '100')");
  for (const { db } of stores) {
    await db.query(`
      insert into cluster.event (event_id, at, term, epoch, event, reason)
      select g, now(), 1, 1, 'member_state', 'seen' from generate_series(10, 3000) as g;
      insert into cluster.request (request_id, key, kind, state, args, requested_by, requested_at)
      select g, gen_random_uuid(), 'switchover', case g when 7 then 'waiting' else 'done' end, '{}', 'op', now()
        from generate_series(1, 300) as g`);
  }
  expect(await forget()).toBe(1);
  const of = (db: pg.Client, what: string) =>
    value(db, `(select jsonb_agg(x) from (select ${what}) as q (x))`);
  for (const { db } of stores) {
    await expect.poll(() => of(db, "count(*) from cluster.request")).toEqual([101]);
    expect(await of(db, "min(request_id) from cluster.request")).toEqual([7]);
    expect(await of(db, "max(request_id) from cluster.request")).toEqual([300]);
    expect(await of(db, "count(*) >= 1000 and count(*) < 1100 from cluster.event")).toEqual([true]);
    expect((await errorOf(db.query("select * from pg_replica.events(1)"))).code).toBe("RF005");
    expect(await of(db, "min(event_id) > 1900 from pg_replica.events(max_rows => 1)")).toEqual([
      true,
    ]);
  }
  // Numbers go on, whatever is forgotten.
  const all = { entries: "0", proposals: "0", events: "1000000", requests: "1000000" };
  await value(leader.db, "node.propose(gen_random_uuid(), 'forget', $1)", [JSON.stringify(all)]);
  expect(await of(leader.db, "request_id from cluster.request order by 1")).toEqual([7, 300]);
  expect(await of(leader.db, "count(*) from cluster.event")).toEqual([1]);
});
