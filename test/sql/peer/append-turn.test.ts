/** Whether a store can append (H66) is tried in turn with a leader's appends: their rows are not its own. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { monotonicClock } from "../../../src/clock/clock.ts";
import { append, entries, openSecond, type Second } from "./second.ts";

let opened: Second;

beforeAll(async () => {
  opened = await openSecond();
}, 60_000);
afterAll(() => opened?.close());

test("a store that is in the midst of an append can append", async () => {
  const { node, second } = opened;
  await second.query("begin");
  const { success } = await append(opened, entries(1));
  expect(success).toBe(true);
  const tried = node.sql("select raft.test_append()");
  await monotonicClock.sleep(200);
  await second.query("commit");
  await tried;
  const rows = await node.sql("select index::integer, kind from raft.log");
  expect(rows).toEqual([{ index: 1, kind: "noop" }]);
});
