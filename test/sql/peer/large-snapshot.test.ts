/** A state that is larger than what a peer's role may put into temporary files is taken in like any other (H59). */
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect } from "../../../src/db/connect.ts";
import * as peer from "../../../src/db/peer.ts";
import { snapshotPart, takeSnapshot } from "../../../src/db/raft.ts";
import { ownControlStore } from "../../../src/worker/control-store.ts";
import { openSecond, type Second } from "./second.ts";

let opened: Second;

beforeAll(async () => {
  opened = await openSecond();
}, 60_000);
afterAll(() => opened?.close());

const FILL = `
  insert into cluster.entry (index, item, term, data, node_id, at)
  select g, 1, 1, repeat('x', 1000000) || g, 1, now() from generate_series(1, 80) as g`;
const CONTENTS = `
  select count(*)::integer as count, sum(octet_length(data))::integer as bytes,
         md5(string_agg(md5(data), '' order by index))
    from cluster.entry`;

test("a snapshot of 80 MB is installed by a role that may have 64 MB of temporary files", {
  timeout: 120_000,
}, async () => {
  const { node, second, me } = opened;
  await node.sql(FILL);
  const before = await node.sql(CONTENTS);
  expect(before).toMatchObject([{ count: 80, bytes: 80_000_151 }]);
  const store = await connect(ownControlStore(node.config, "test"));
  try {
    const taken = await takeSnapshot(store, 1_000_000);
    expect(taken.parts).toBeGreaterThan(40);
    await node.sql("delete from cluster.entry");
    // Here it is the state at an entry that this store has not got.
    const head = { ...taken, index: 1000n, term: 1n, hash: "ab", leaderTerm: 1n };
    for (let part = 1; part <= taken.parts; part += 1) {
      const rows = (await snapshotPart(store, taken.id, part)) ?? "";
      const { reason } = await peer.installSnapshot(second, me, { ...head, part, rows });
      expect(reason).toBe(part < taken.parts ? "waiting" : "installed");
    }
  } finally {
    await store.end();
  }
  expect(await node.sql(CONTENTS)).toEqual(before);
});
