/** The acting functions: forwarded to the leader's store from any node, waited for, refused in words. */
import type pg from "pg";
import { describe, expect, test } from "vitest";
import { monotonicClock } from "../../../src/clock/clock.ts";
import { errorOf } from "../../support/sql.ts";
import { another, type Entry, elect, lead, newestRequest, type Store } from "./stores.ts";
import { follower, leader, stores, useTwoStores, working } from "./two-stores.ts";

useTwoStores("act");

/** The coordinator's answer to a new request: these changes of its state. */
function leading(...states: Readonly<Record<string, unknown>>[]): void {
  working.push(
    lead(leader, stores, async ({ kind }, db): Promise<Entry[]> => {
      if (kind !== "request") return [];
      const request_id = await newestRequest(db);
      const at = "2026-01-01T12:00:00Z";
      return states.map((state) => ({ kind: "request_state", body: { request_id, at, ...state } }));
    }),
  );
}

const DONE = [
  { state: "running", from_node: 1, to_node: 2 },
  { state: "done", epoch: 3, write_gap_ms: 180, reason: "node 2 takes writes" },
];

async function one(db: pg.Client, sql: string, values: unknown[] = []) {
  const { rows } = await db.query(sql, values);
  expect(rows).toHaveLength(1);
  return rows[0];
}

describe.each([1, 2])("asked on node %i while node 1 leads", (id) => {
  const db = () => (id === 1 ? leader.db : follower.db);

  test("failover() comes back with the finished request", async () => {
    leading(...DONE);
    const row = await one(db(), "select * from pg_replica.failover()");
    expect(row).toMatchObject({
      request_id: "1",
      kind: "failover",
      state: "done",
      from_node: 1,
      to_node: 2,
      epoch: "3",
      reason: "node 2 takes writes",
      requested_by: "postgres",
      write_gap_ms: 180,
    });
    expect(row.finished_at).not.toBeNull();
  });

  test.each([
    ["switchover('node2')", "switchover", { target: 2, not_before: null, delay_ms: 0 }],
    ["switchover('2')", "switchover", { target: 2 }],
    ["switchover(3)", "switchover", { target: 3 }],
    ["failover(2, true)", "failover", { target: 2, allow_data_loss: true }],
    ["failover(null)", "failover", { target: null, allow_data_loss: false }],
    ["failover(target => 'node3', wait_ms => 1000)", "failover", { target: 3 }],
  ])("%s tells the leader what is wanted", async (call, kind, args) => {
    leading(...DONE);
    const { request_id } = await one(db(), `select * from pg_replica.${call}`);
    const stored = await one(
      follower.db,
      "select kind, args, requested_by from cluster.request where request_id = $1",
      [request_id],
    );
    expect(stored).toMatchObject({ kind, args, requested_by: "postgres" });
  });

  test("a request that fails is an error with its own SQLSTATE, reason and hint", async () => {
    leading({
      state: "failed",
      sqlstate: "RF011",
      reason: "commits would be lost",
      hint: "wait for node 3",
    });
    const error = await errorOf(db().query("select * from pg_replica.failover(3)"));
    expect(error).toMatchObject({
      code: "RF011",
      message: "commits would be lost",
      hint: "wait for node 3",
      detail: "Request 1, a failover asked for by postgres.",
    });
  });

  test("pause, resume and cancel say whether they changed anything", async () => {
    leading();
    const value = async (call: string) => (await one(db(), `select pg_replica.${call} as v`)).v;
    expect(await value("pause('storage is moved')")).toBe(true);
    expect((await one(follower.db, "select paused from pg_replica.cluster()")).paused).toBe(true);
    expect(await value("resume()")).toBe(true);
    expect(await value("resume()")).toBe(false);
    expect((await one(db(), "select * from pg_replica.switchover(wait_ms => 0)")).state).toBe(
      "running",
    );
    expect(await value("cancel(1)")).toBe(true);
    expect(await value("cancel(1)")).toBe(false);
    const events = await leader.db.query(
      "select event, detail->>'by' as by from pg_replica.events where event in ('paused', 'resumed')",
    );
    expect(events.rows).toEqual([
      { event: "paused", by: "postgres" },
      { event: "resumed", by: "postgres" },
    ]);
  });
});

test("an answer comes back inside a REPEATABLE READ transaction too", async () => {
  leading(...DONE);
  const db = await another(follower);
  await db.query("begin isolation level repeatable read");
  await db.query("select count(*) from cluster.request");
  expect((await one(db, "select * from pg_replica.failover()")).state).toBe("done");
  await db.query("rollback");
  await db.end();
});

test("when wait_ms is over the row says running, and the work goes on", async () => {
  leading({ state: "running", to_node: 3 });
  const started = monotonicClock.now();
  const row = await one(follower.db, "select * from pg_replica.failover(wait_ms => 300)");
  expect(row).toMatchObject({ state: "running", to_node: 3, finished_at: null });
  expect(monotonicClock.now() - started).toBeGreaterThanOrEqual(300);
});

test("a switchover for later waits", async () => {
  leading();
  const row = await one(
    follower.db,
    "select * from pg_replica.switchover(2, now() + interval '1 hour', 0)",
  );
  expect(row.state).toBe("waiting");
});

test("the login that asked is on record", async () => {
  leading(...DONE);
  await leader.db.query("create role alice login in role pgreplica_admin");
  const alice = await another(leader, "alice");
  expect((await one(alice, "select * from pg_replica.failover()")).requested_by).toBe("alice");
  await alice.end();
});

test.each([
  ["failover('node9')", "RF006", "no member is called node9"],
  ["failover(9)", "RF006", "no member is called 9"],
  ["switchover('')", "RF006", "no member is called "],
  ["failover(wait_ms => -1)", "22023", "wait_ms is -1"],
  ["failover(wait_ms => 3600001)", "22023", "wait_ms is 3600001"],
  ["switchover(at => 'infinity')", "22023", "at is infinity"],
  ["pause(null)", "22023", "a pause needs a reason"],
  ["pause('  ')", "22023", "a pause needs a reason"],
  ["cancel(99)", "22023", "there is no request 99"],
  ["cancel(null)", "22023", "there is no request null"],
])("%s is refused", async (call, code, message) => {
  const error = await errorOf(follower.db.query(`select * from pg_replica.${call}`));
  expect({ code: error.code, message: error.message }).toEqual({ code, message });
  expect(error.hint).toBeTruthy();
});

test("an unknown member's error lists the members", async () => {
  const error = await errorOf(follower.db.query("select pg_replica.failover('node9')"));
  expect(error.detail).toBe("Members: 1 (node1), 2 (node2), 3 (node3).");
});

describe("when nothing can be decided it is RF002 within five seconds", () => {
  const refused = async (store: Store, call = "failover()") => {
    const started = monotonicClock.now();
    const error = await errorOf(store.db.query(`select pg_replica.${call}`));
    expect(error.code).toBe("RF002");
    expect(error.hint).toContain("2 of the 3 voters");
    // The call itself keeps to 4.5 s; a busy machine has half a second to tell.
    expect(monotonicClock.now() - started).toBeLessThan(5000);
    return error;
  };

  test("no leader is known", async () => {
    await elect(stores, null);
    expect((await refused(follower)).message).toBe("no leader: nobody can decide this now");
    await refused(leader, "pause('no leader')");
  });

  test("the leader's control store is gone", async () => {
    await elect([follower], 3);
    const error = await refused(follower);
    expect(error.message).toBe("the leader, node 3, does not answer");
    expect(error.detail).toBeTruthy();
  });

  test("the leader's control store is frozen", async () => {
    process.kill(leader.server.server.pid, "SIGSTOP");
    try {
      await refused(follower);
    } finally {
      process.kill(leader.server.server.pid, "SIGCONT");
    }
  });

  test("the node taken for the leader does not lead", async () => {
    await elect([leader], 2);
    expect((await refused(follower)).detail).toBe("this node does not lead");
  });

  test("a leader takes it, but no majority commits it", async () => {
    const error = await refused(follower);
    expect(error.message).toBe("no quorum has confirmed this in time");
    expect(error.detail).toBe("Node 1 took it, and it may still be carried out.");
  });

  test("this node has no password for its peers yet", async () => {
    await follower.db.query("begin; delete from node.secret; commit");
    try {
      expect((await refused(follower)).detail).toBe("this node cannot log in to node 1 yet");
    } finally {
      await follower.db.query("insert into node.secret values ('peer_password', 'x')");
    }
  });
});

test("a new leader gets what the old one took and lost, once", async () => {
  const db = await another(follower);
  const asked = one(db, "select * from pg_replica.failover()");
  // The old leader's inbox has it; its worker dies before it proposes anything.
  const taken = async () =>
    (await leader.db.query("delete from raft.inbox returning id")).rows.length > 0;
  while (!(await taken())) await monotonicClock.sleep(5);
  await elect(stores, 2);
  working.push(
    lead(follower, stores, async ({ kind }, own) => {
      if (kind !== "request") return [];
      const body = {
        request_id: await newestRequest(own),
        at: "2026-01-01T12:00:00Z",
        state: "done",
      };
      return [{ kind: "request_state", body }];
    }),
  );
  expect(await asked).toMatchObject({ request_id: "1", state: "done" });
  await db.end();
});

test("a caller who gives up leaves no connection behind", async () => {
  leading({ state: "running" });
  const db = await another(follower);
  await db.query("set statement_timeout = '700ms'");
  expect((await errorOf(db.query("select pg_replica.failover()"))).code).toBe("57014");
  await db.query("set statement_timeout = 0");
  const names = await db
    .query("select pgreplica.dblink_is_busy('none')")
    .catch((error) => error.code);
  expect(names).toBe("08003");
  for (;;) {
    const { rows } = await follower.db.query(
      "select count(*)::integer as n from pg_stat_activity where application_name = 'pgreplica_sql'",
    );
    if (rows[0].n === 0) break;
    await monotonicClock.sleep(20);
  }
  await db.end();
});

test("a deposed leader does not call itself leader once it has heard nobody for long", async () => {
  const role = async () => {
    await leader.db.query("select node.observe('{}')");
    return (await one(leader.db, "select node.own_row() ->> 'raft_role' as role")).role;
  };
  expect(await role()).toBe("leader");
  await leader.db.query("select raft.mark_silent(raft.boot_id(), raft.heard_count())");
  expect(await role()).toBe("candidate");
});
