/** Who the members are: told to a member in whatever life, and to nobody else; nothing of the caller is taken. */
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as peer from "../../../src/db/peer.ts";
import type { TestNode } from "../../control/node.ts";
import { errorOf } from "../../support/sql.ts";
import { openSecond, type Second } from "./second.ts";

let opened: Second;
let node: TestNode;
let second: pg.Client;
let me: peer.Sender;

beforeAll(async () => {
  opened = await openSecond();
  ({ node, second, me } = opened);
  await node.sql("update cluster.member set incarnation = gen_random_uuid() where node_id = 2");
}, 60_000);
afterAll(() => opened?.close());

test("a life that the log does not know is refused, and told whom the log does know", async () => {
  const { cause } = await errorOf(peer.hello(second, me));
  expect(cause).toMatchObject({
    code: "RF008",
    message: expect.stringMatching(/is not the incarnation/),
  });
  const ids = (await node.sql("select node_id from cluster.member")).map((row) => row.node_id);
  expect(ids.length).toBeGreaterThan(1);
  expect(await peer.introduce(second, me)).toEqual(ids.sort());
});

test("a stranger, and who speaks for another, are told nothing", async () => {
  for (const other of [
    { ...me, clusterId: crypto.randomUUID() },
    { ...me, nodeId: 1 },
    { ...me, nodeId: 9 },
  ]) {
    const { cause } = await errorOf(peer.introduce(second, other));
    expect(cause).toMatchObject({ code: "RF008" });
  }
});
