/** The last resort: a majority is lost for good, and one node goes on alone (H49). */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { clusterView } from "../../../src/db/cluster.ts";
import { agentView } from "../../../src/db/node.ts";
import { openScratch, type Scratch } from "../../support/scratch.ts";
import { errorOf, sqlstate } from "../../support/sql.ts";
import { elect, openStore, type Store, see, threeMembers } from "./stores.ts";

let scratch: Scratch;
let store: Store;

beforeAll(async () => {
  scratch = await openScratch("recover");
  store = await openStore(scratch, 2);
}, 60_000);
beforeEach(async () => {
  await threeMembers([store]);
  await store.db.query("truncate cluster.former_member, raft.log");
});
afterAll(() => scratch.close());

const RECOVER =
  "select * from pg_replica.recover(force => true, reason => 'both others burnt down')";

test("it is refused without force, without a reason, and while anybody leads", async () => {
  await elect([store], null);
  const refusals: [string, string][] = [
    ["select * from pg_replica.recover(false, 'why')", "RF011"],
    ["select * from pg_replica.recover(true, ' ')", "22023"],
    ["select * from pg_replica.recover(true, null)", "22023"],
  ];
  for (const [sql, code] of refusals) {
    const error = await errorOf(store.db.query(sql));
    expect(sqlstate(error)).toBe(code);
    expect(error.hint).toMatch(/\S/);
  }
  await elect([store], 1);
  const error = await errorOf(store.db.query(RECOVER));
  expect(sqlstate(error)).toBe("RF010");
  expect(error.message).toMatch(/node 1 leads/);
  expect((await clusterView(store.db)).members).toHaveLength(3);
});

test("alone: a new epoch that this node answers for itself, the others out, what they held on record", async () => {
  await elect([store], null);
  await see(store.db, 1, { wal_lsn: "0/4000100" });
  await see(store.db, 2, { wal_lsn: "0/4000000" });
  const before = await store.db.query("select current_term, last_index from raft.hard_state");
  const { rows } = await store.db.query(RECOVER);
  expect(rows[0]).toMatchObject({ kind: "recover", state: "running", epoch: "3", from_node: 1 });

  const view = await clusterView(store.db);
  expect(view.members.map(({ node_id }) => node_id)).toEqual([2]);
  expect(view.rule).toMatchObject({ k: 0, cohort: [2] });
  expect(view.epochs[0]).toMatchObject({ epoch: 3n, state: "opened", cause: "recovered" });
  expect(await agentView(store.db)).toMatchObject({ pledge: 3n, goal: "pledged" });

  // One entry in a term of its own, committed and applied: the log says what was done.
  const after = await store.db.query(
    "select current_term, last_index, commit_index, applied_index, alarm from raft.hard_state",
  );
  const index = String(BigInt(before.rows[0].last_index) + 1n);
  expect(after.rows[0]).toMatchObject({
    current_term: String(BigInt(before.rows[0].current_term) + 1n),
    last_index: index,
    commit_index: index,
    applied_index: index,
    alarm: null,
  });
  const event = await store.db.query(
    "select reason, detail from pg_replica.events(0, 1000) where event = 'cluster_recovered'",
  );
  expect(event.rows[0].reason).toMatch(/burnt down; excluded: node1, node3$/);
  expect(event.rows[0].detail).toMatchObject({ lost_bytes: 256 });
});

test("who was given up is refused when it comes back, by name and reason", async () => {
  await elect([store], null);
  await store.db.query(RECOVER);
  const { rows } = await store.db.query("select * from cluster.former_member order by node_id");
  expect(rows.map(({ node_id }) => node_id)).toEqual([1, 3]);
  const error = await errorOf(
    store.db.query(
      `select * from peer.hello((select cluster_id from node.identity), 1,
                                (select incarnation from cluster.former_member where node_id = 1))`,
    ),
  );
  expect(sqlstate(error)).toBe("RF008");
  expect(error.message).toMatch(/node 1 was excluded/);
  expect(error.detail).toMatch(/burnt down/);
});

test("who has left is refused in its next life too, though its login is still there (R13)", async () => {
  await elect([store], null);
  const hello = (life: string) => `select * from peer.hello('${cluster}', 1, '${life}')`;
  const { rows } = await store.db.query("select cluster_id from node.identity");
  const cluster = rows[0].cluster_id;
  const next = randomUUID();
  await store.db.query("begin");
  try {
    await store.db.query("delete from cluster.member where node_id = 1");
    await store.db.query("savepoint introduced");
    await store.db.query("set local session authorization pgreplica_node_1");
    // A member that this log does not know yet, and of which others have spoken.
    expect((await store.db.query(hello(next))).rows).toHaveLength(1);
    await store.db.query("rollback to introduced");
    const left = "(1, 'node1', gen_random_uuid(), now(), 'removed')";
    await store.db.query(
      `insert into cluster.former_member (node_id, name, incarnation, at, reason) values ${left}`,
    );
    await store.db.query("set local session authorization pgreplica_node_1");
    const error = await errorOf(store.db.query(hello(next)));
    expect(sqlstate(error)).toBe("RF008");
    expect(error.message).toMatch(/node 1 is no member/);
  } finally {
    await store.db.query("rollback");
  }
});

test("a store that learns it was given up itself has no vote any more, not even in its own term", async () => {
  await elect([store], null);
  const body = "'node_id', 1, 'key', gen_random_uuid(), 'by', 'op', 'reason', 'why', 'at', now()";
  await store.db.query(`select cluster.apply_recover(9, jsonb_build_object(${body}))`);
  const sender = `(select cluster_id from node.identity), 1,
                  (select incarnation from cluster.member where node_id = 1)`;
  const { rows } = await store.db.query(
    `select p.reason as would, v.reason as does, s.voted_for
       from raft.hard_state as s,
            peer.pre_vote(${sender}, s.current_term + 1, 99, 99, null, null) as p,
            peer.request_vote(${sender}, s.current_term, 99, 99, null, null, true) as v`,
  );
  expect(rows[0]).toEqual({ would: "learner", does: "learner", voted_for: null });
});
