/** Whether a store can append (H66) is tried in turn with a leader's appends: their rows are not its own. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { monotonicClock } from "../../../src/clock/clock.ts";
import * as peer from "../../../src/db/peer.ts";
import { openSecond, type Second } from "./second.ts";

let opened: Second;

beforeAll(async () => {
  opened = await openSecond();
}, 60_000);
afterAll(() => opened?.close());

test("a store that is in the midst of an append can append", async () => {
  const { node, second, me } = opened;
  await second.query("begin");
  const { success } = await peer.appendEntries(second, me, {
    term: 1n,
    prevIndex: 0n,
    prevTerm: 0n,
    entries: [
      {
        index: 1n,
        term: 1n,
        kind: "noop",
        client: "00000000-0000-4000-8000-000000000001",
        sequence: 1n,
        body: { at: "2026-01-01T00:00:00Z" },
      },
    ],
    commit: 0n,
  });
  expect(success).toBe(true);
  const tried = node.sql("select raft.test_append()");
  await monotonicClock.sleep(200);
  await second.query("commit");
  await tried;
  const rows = await node.sql("select index::integer, kind from raft.log");
  expect(rows).toEqual([{ index: 1, kind: "noop" }]);
});
