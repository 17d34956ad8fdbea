/** The log as a service: what users put into it, and keys and values, asked on the leader's store and another's. */
import type pg from "pg";
import { beforeEach, describe, expect, test } from "vitest";
import { monotonicClock } from "../../../src/clock/clock.ts";
import { errorOf } from "../../support/sql.ts";
import { another, elect, lead } from "./stores.ts";
import { follower, leader, stores, useTwoStores, working } from "./two-stores.ts";

useTwoStores("service");

const leading = () => working.push(lead(leader, stores));

async function rows(db: pg.Client, call: string, values: unknown[] = []) {
  return (await db.query(`select * from pg_replica.${call}`, values)).rows;
}
async function value(db: pg.Client, call: string, values: unknown[] = []) {
  const { rows: found } = await db.query(`select pg_replica.${call} as v`, values);
  expect(found).toHaveLength(1);
  return found[0].v;
}
const data = async (db: pg.Client, call = "entries()") =>
  (await rows(db, call)).map((row) => row.data);

describe.each([1, 2])("asked on node %i while node 1 leads", (id) => {
  const db = () => (id === 1 ? leader.db : follower.db);
  beforeEach(leading);

  test("replicate() returns the place of an entry that every node shows, byte for byte", async () => {
    const text = "line\n\\ 'quoted' \"twice\" \u{1f418} \u0001";
    const first = await value(db(), "replicate($1)", [text]);
    const second = await value(db(), "replicate('')");
    expect(BigInt(second)).toBeGreaterThan(BigInt(first));
    // The other node applies it in the same breath; this one has when the call is over.
    const own = await rows(db(), "entries()");
    expect(own).toMatchObject([
      { index: first, item: 1, data: text, request_id: null, proposed_by: id },
      { index: second, item: 1, data: "", proposed_by: id },
    ]);
    await expect.poll(() => rows(leader.db, "entries()")).toEqual(own);
    await expect.poll(() => rows(follower.db, "entries()")).toEqual(own);
  });

  test("a batch is one entry, its items in order, numbers as they were written", async () => {
    const index = await value(db(), "replicate(array['b', 'a', 'b'])");
    const documents = ['{"n": 12345678901234567890.10}', "[]"];
    const next = await value(db(), "replicate($1::jsonb[])", [documents]);
    expect(await rows(db(), "entries()")).toMatchObject([
      { index, item: 1, data: "b" },
      { index, item: 2, data: "a" },
      { index, item: 3, data: "b" },
      { index: next, item: 1, data: documents[0] },
      { index: next, item: 2, data: documents[1] },
    ]);
  });

  test("the same request_id commits once, whatever is asked for and wherever", async () => {
    const index = await value(db(), "replicate('pay 5', 'order 17')");
    for (const again of [leader.db, follower.db]) {
      expect(await value(again, "replicate('pay 6', 'order 17')")).toBe(index);
      expect(await value(again, "replicate(array['pay 7'], request_id => 'order 17')")).toBe(index);
    }
    expect(await rows(db(), "entries()")).toMatchObject([
      { index, data: "pay 5", request_id: "order 17" },
    ]);
    expect(await value(db(), "replicate('pay 5', 'order 18')")).not.toBe(index);
  });

  test("entries() goes on after the last index seen, and never splits a batch", async () => {
    await value(db(), "replicate('one')");
    const batch = await value(db(), "replicate(array['two', 'three'])");
    await value(db(), "replicate('four')");
    expect(await data(db(), "entries(max_rows => 1)")).toEqual(["one"]);
    expect(await data(db(), "entries(max_rows => 2)")).toEqual(["one", "two", "three"]);
    expect(await data(db(), `entries(${batch})`)).toEqual(["four"]);
    expect(await data(db(), "entries(null, null)")).toHaveLength(4);
    expect(await data(db(), "entries(max_rows => 0)")).toEqual([]);
  });

  test("a key is put, read on every node, changed, deleted", async () => {
    const version = await value(db(), "kv_put('app/limit', '10')");
    for (const node of [leader.db, follower.db]) {
      expect(await value(node, "kv_get('app/limit')")).toBe("10");
      expect(await value(node, "kv_exists('app/limit')")).toBe(true);
      expect(await rows(node, "kv_get_entry('app/limit')")).toMatchObject([
        { value: "10", version, created_version: version },
      ]);
    }
    const changed = await value(db(), "kv_put('app/limit', '')");
    expect(BigInt(changed)).toBeGreaterThan(BigInt(version));
    expect(await value(db(), "kv_get('app/limit', 'local')")).toBe("");
    expect(await rows(db(), "kv_get_entry('app/limit')")).toMatchObject([
      { value: "", version: changed, created_version: version },
    ]);
    expect(await value(db(), "kv_delete('app/limit')")).toBe(true);
    expect(await value(db(), "kv_delete('app/limit')")).toBe(false);
    expect(await value(db(), "kv_get('app/limit')")).toBeNull();
    expect(await value(db(), "kv_exists('app/limit', consistency => 'local')")).toBe(false);
    expect(await rows(db(), "kv_get_entry('app/limit')")).toEqual([]);
  });

  test("compare and set takes the lock once, and says what holds", async () => {
    const cas = async (expected: string, next: string | null) =>
      (await rows(db(), "kv_cas('lock', $1, $2)", [expected, next]))[0];
    const taken = await cas("0", "alice");
    expect(taken).toMatchObject({ swapped: true, value: "alice" });
    expect(await cas("0", "bob")).toEqual({ ...taken, swapped: false });
    const next = await cas(taken.version, "bob");
    expect(next).toMatchObject({ swapped: true, value: "bob" });
    expect(await cas(taken.version, null)).toEqual({ ...next, swapped: false });
    expect(await cas(next.version, null)).toEqual({ swapped: true, version: "0", value: null });
    expect(await cas("0", null)).toEqual({ swapped: true, version: "0", value: null });
    expect(await cas(next.version, "carol")).toEqual({ swapped: false, version: "0", value: null });
    const again = await cas("0", "carol");
    expect(BigInt(again.version)).toBeGreaterThan(BigInt(next.version));
  });

  test("kv_list() is in byte order, by prefix, page by page", async () => {
    for (const key of ["b", "a/2", "a/10", "a/é", "a/Z", "aa"]) {
      await value(db(), "kv_put($1, 'of ' || $1)", [key]);
    }
    const keys = async (call: string) => (await rows(db(), call)).map((row) => row.key);
    expect(await keys("kv_list()")).toEqual(["a/10", "a/2", "a/Z", "a/é", "aa", "b"]);
    expect(await keys("kv_list('a/')")).toEqual(["a/10", "a/2", "a/Z", "a/é"]);
    expect(await keys("kv_list('a/', max_rows => 2)")).toEqual(["a/10", "a/2"]);
    expect(await keys("kv_list('a/', 'a/2', 2, 'local')")).toEqual(["a/Z", "a/é"]);
    expect((await rows(db(), "kv_list('b')"))[0]).toMatchObject({ key: "b", value: "of b" });
  });

  test("kv_history() tells every version until a compaction", async () => {
    const first = await value(db(), "kv_put('k', '1')");
    const second = await value(db(), "kv_put('k', '2')");
    await value(db(), "kv_delete('k')");
    const back = await value(db(), "kv_put('k', '3')");
    const history = await rows(db(), "kv_history('k')");
    expect(history).toMatchObject([
      { version: first, value: "1", created_version: first },
      { version: second, value: "2", created_version: first },
      { value: null },
      { version: back, value: "3", created_version: back },
    ]);
    expect(await rows(db(), "kv_history('k', $1, 1)", [first])).toEqual([history[1]]);
    expect(await value(db(), "kv_compact()")).toBe(true);
    expect(await rows(db(), "kv_history('k', consistency => 'local')")).toEqual([history[3]]);
    expect(await value(db(), "kv_get('k')")).toBe("3");
  });
});

test("a write stays when its transaction rolls back, at any isolation level", async () => {
  leading();
  const db = await another(follower);
  for (const level of ["read committed", "repeatable read", "serializable"]) {
    await db.query(`begin isolation level ${level}`);
    await db.query("select count(*) from cluster.entry");
    await value(db, "replicate($1)", [level]);
    await db.query("rollback");
  }
  await db.query("do $$ begin perform pg_replica.replicate('in a block'); end $$");
  expect(await data(db)).toEqual([
    "read committed",
    "repeatable read",
    "serializable",
    "in a block",
  ]);
  await db.end();
});

test("a transaction made read-only refuses to write, before anything is proposed", async () => {
  leading();
  const db = await another(follower);
  await db.query("begin read only");
  expect((await errorOf(db.query("select pg_replica.replicate('no')"))).code).toBe("25006");
  await db.query("rollback; begin read only");
  expect((await errorOf(db.query("select pg_replica.kv_delete('k')"))).code).toBe("25006");
  await db.query("rollback; begin read only");
  expect(await value(db, "kv_get('k')")).toBeNull();
  await db.query("rollback");
  expect(await data(db)).toEqual([]);
  await db.end();
});

test.each([
  ["replicate(null::text)", "22004", "data is null"],
  ["replicate(array['x', null])", "22004", "data is null"],
  ["replicate(null::jsonb[])", "22004", "data is null"],
  ["replicate('{}'::text[])", "22023", "data has no items"],
  ["replicate(array[['a'], ['b']])", "22023", "data has more than one dimension"],
  ["replicate(repeat('x', 1048577))", "22023", "data has 1048577 bytes"],
  ["replicate(array_fill(''::text, array[10001]))", "22023", "data has 10001 items"],
  ["replicate('x', '')", "22023", "request_id has 0 bytes"],
  ["replicate('x', repeat('é', 128))", "22023", "request_id has 256 bytes"],
  ["entries(max_rows => -1)", "22023", "max_rows is -1"],
  ["kv_put(null, 'x')", "22004", "key is null"],
  ["kv_put('', 'x')", "22023", "key has 0 bytes"],
  ["kv_put(repeat('k', 256), 'x')", "22023", "key has 256 bytes"],
  ["kv_put(e'a\\tb', 'x')", "22023", 'key "a\\tb" has a control character'],
  ["kv_put(e'a\\u0085b', 'x')", "22023", 'key "a\u0085b" has a control character'],
  ["kv_put('k', null)", "22004", "value is null"],
  ["kv_put('k', repeat('x', 1048577))", "22023", "value has 1048577 bytes"],
  ["kv_delete(null)", "22004", "key is null"],
  ["kv_cas('k', null, 'x')", "22004", "expected_version is null"],
  ["kv_cas('k', -1, 'x')", "22023", "expected_version is -1"],
  ["kv_get(null)", "22004", "key is null"],
  ["kv_get('k', 'eventual')", "22023", "consistency is eventual"],
  ["kv_get('k', null)", "22004", "consistency is null"],
  ["kv_list(max_rows => -1, consistency => 'local')", "22023", "max_rows is -1"],
])("%s is refused", async (call, code, message) => {
  const error = await errorOf(follower.db.query(`select * from pg_replica.${call}`));
  expect({ code: error.code, message: error.message }).toEqual({ code, message });
  expect(error.hint).toBeTruthy();
  const { rows: left } = await leader.db.query("select * from raft.inbox");
  expect(left).toEqual([]);
});

test("the largest entry and value pass", async () => {
  leading();
  const index = await value(follower.db, "replicate(repeat('x', 1048576))");
  expect((await rows(follower.db, "entries()"))[0].data).toHaveLength(1048576);
  await value(follower.db, "replicate(array_fill(''::text, array[10000]))");
  await value(follower.db, "kv_put('k', repeat('y', 1048576))");
  expect(await value(leader.db, "kv_get('k')")).toHaveLength(1048576);
  expect(BigInt(index)).toBeGreaterThan(0n);
});

describe("when nothing can be decided", () => {
  test("without a leader nothing is proposed: RF002; what is local still answers", async () => {
    await elect(stores, null);
    for (const call of ["replicate('x')", "kv_get('k')"]) {
      const error = await errorOf(follower.db.query(`select pg_replica.${call}`));
      expect(error).toMatchObject({
        code: "RF002",
        message: "no leader: nobody can decide this now",
      });
    }
    expect(await value(follower.db, "kv_get('k', 'local')")).toBeNull();
    expect(await rows(follower.db, "entries()")).toEqual([]);
  });

  test("a write that a leader took has an unknown outcome, RF003; a read has none, RF002", async () => {
    const error = await errorOf(follower.db.query("select pg_replica.kv_put('k', 'v')"));
    expect(error.code).toBe("RF003");
    expect(error.message).toMatch(/^outcome unknown after \d{4} ms; the entry may still commit$/);
    expect(error.detail).toBe("Current leader: 1.");
    const read = await errorOf(follower.db.query("select pg_replica.kv_get('k')"));
    expect(read).toMatchObject({
      code: "RF002",
      message: "no majority has confirmed the leader in time",
    });
  });

  test("nobody reached is certain, RF002; an answer that did not come is not, RF003", async () => {
    await elect([follower], 3);
    const unreached = await errorOf(follower.db.query("select pg_replica.replicate('x')"));
    expect(unreached).toMatchObject({
      code: "RF002",
      message: "the leader, node 3, does not answer",
    });
    await elect([follower], 1);
    await leader.db.query("begin; lock table raft.inbox");
    try {
      const unheard = await errorOf(follower.db.query("select pg_replica.replicate('x')"));
      expect(unheard.code).toBe("RF003");
    } finally {
      await leader.db.query("rollback");
    }
  });

  test("asked again with its request_id after RF003, it is there once", async () => {
    const call = "replicate('pay', 'order 1')";
    expect((await errorOf(follower.db.query(`select pg_replica.${call}`))).code).toBe("RF003");
    leading();
    const index = await value(follower.db, call);
    expect(await rows(follower.db, "entries()")).toMatchObject([{ index, data: "pay" }]);
  });
});

test("who listens is told of entries and keys", async () => {
  leading();
  const db = await another(leader);
  const heard: string[] = [];
  db.on("notification", ({ channel, payload }) => heard.push(`${channel} ${payload}`));
  await db.query("listen pg_replica_entry; listen pg_replica_kv");
  const index = await value(follower.db, "replicate(array['a', 'b'])");
  const version = await value(follower.db, "kv_put('it''s', 'x')");
  const started = monotonicClock.now();
  while (heard.length < 2 && monotonicClock.now() - started < 3000) await monotonicClock.sleep(10);
  expect(heard).toEqual([
    `pg_replica_entry {"index": ${index}, "items": 2}`,
    `pg_replica_kv {"key": "it's", "version": ${version}}`,
  ]);
  await db.end();
});

test("what a compaction overtook is answered by what holds now", async () => {
  const apply = (index: number, kind: string, body: object) =>
    leader.db.query("select cluster.apply($1, 1, $2, gen_random_uuid(), 1, $3)", [
      index,
      kind,
      JSON.stringify({ at: "2026-01-01T12:00:00Z", ...body }),
    ]);
  const at = async (index: number) =>
    (await leader.db.query("select * from node.kv_at('k', $1)", [index])).rows[0];
  await apply(10, "kv_set", { key: "k", value: "ten" });
  await apply(20, "kv_set", { key: "k", value: "twenty" });
  await apply(30, "kv_set", { key: "k", value: null });
  expect(await at(9)).toEqual({ version: "0", value: null });
  expect(await at(19)).toEqual({ version: "10", value: "ten" });
  expect(await at(29)).toEqual({ version: "20", value: "twenty" });
  expect(await at(30)).toEqual({ version: "0", value: null });
  await apply(40, "kv_set", { key: "k", value: "forty" });
  await apply(50, "kv_compact", {});
  expect(await at(25)).toEqual({ version: "40", value: "forty" });
});

test("kv_reset deletes every key at one place, and versions only grow", async () => {
  const apply = (index: number, kind: string, body: object = {}) =>
    leader.db.query("select cluster.apply($1, 1, $2, gen_random_uuid(), 1, $3)", [
      index,
      kind,
      JSON.stringify({ at: "2026-01-01T12:00:00Z", ...body }),
    ]);
  await apply(1, "kv_set", { key: "a", value: "1" });
  await apply(2, "kv_set", { key: "b", value: "1" });
  await apply(3, "kv_set", { key: "b", value: null });
  await apply(4, "kv_reset");
  await apply(5, "kv_set", { key: "a", value: "2", expected_version: "0" });
  const { rows: kept } = await leader.db.query(
    "select key, version, value, replaced_by from cluster.kv order by key, version",
  );
  expect(kept).toEqual([
    { key: "a", version: "1", value: "1", replaced_by: "4" },
    { key: "a", version: "4", value: null, replaced_by: "5" },
    { key: "a", version: "5", value: "2", replaced_by: null },
    { key: "b", version: "2", value: "1", replaced_by: "3" },
    { key: "b", version: "3", value: null, replaced_by: null },
  ]);
  const { rows: total } = await leader.db.query("select puts, deletes from cluster.kv_total");
  expect(total).toEqual([{ puts: "3", deletes: "2" }]);
});
