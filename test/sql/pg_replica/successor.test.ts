/** A dead node's successor is let in by whoever comes first: its operator, or the leader that hears it say hello. */
import { expect, test } from "vitest";
import { until } from "../../support/until.ts";
import { another, incarnation, lead, see } from "./stores.ts";
import { follower, leader, stores, useTwoStores, working } from "./two-stores.ts";

useTwoStores("successor");

const LIVED = "00000000-0000-4000-8000-0000000000d2";

test("add_node() of a successor that its leader has let in meanwhile is done, not refused", async () => {
  const place = ["127.0.0.1", 5432, "127.0.0.1", 7432];
  await follower.db.query("insert into node.address values (default, $1, $2, $3, $4)", place);
  for (const { db } of stores) {
    await db.query("update cluster.member set incarnation = $1 where node_id = 2", [LIVED]);
  }
  await see(leader.db, 2, { age_ms: 60_000 });
  const caller = await another(leader);
  try {
    const dsn = `host=${follower.server.host} port=5432`;
    const added = caller.query("select pg_replica.add_node($1) as id", [dsn]);
    // Nobody takes it up yet: the leader's own readmission stands in the log before it.
    await until("the call has handed in", { limitMs: 3000 }, async () => {
      const { rows } = await leader.db.query("select from raft.inbox where kind = 'readmit'");
      return rows.length === 1;
    });
    const body = {
      node_id: 2,
      incarnation: incarnation(2),
      replaces: LIVED,
      at: "2026-01-01T12:00:00Z",
    };
    for (const { db } of stores) {
      await db.query("select cluster.apply(1, 8, 'readmit', $1, 1, $2)", [
        crypto.randomUUID(),
        body,
      ]);
    }
    working.push(lead(leader, stores));
    expect((await added).rows).toEqual([{ id: 2 }]);
  } finally {
    await caller.end();
  }
  const { rows } = await leader.db.query(
    "select count(*)::integer as n from cluster.former_incarnation where node_id = 2",
  );
  expect(rows).toEqual([{ n: 1 }]);
});
