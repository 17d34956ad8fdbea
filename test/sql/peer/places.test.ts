/** Where members are reached: by the log, or by their own newer word, which is kept for nobody but themselves. */
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
}, 60_000);
afterAll(() => opened?.close());

const moves = (body: Record<string, unknown>) =>
  peer.submit(second, me, {
    key: crypto.randomUUID(),
    kind: "move",
    body: { node_id: 2, incarnation: me.incarnation, control_host: "there", ...body },
  });

test("who asks is told the log's places, and newer ones that members told themselves", async () => {
  const before = await peer.places(second, me);
  expect(before.map(({ node_id }) => node_id)).toContain(2);
  await moves({ control_port: 5555 });
  const after = await peer.places(second, me);
  const expected = before.map((one) =>
    one.node_id === 2 ? { node_id: 2, host: "there", port: 5555 } : one,
  );
  expect(after).toEqual(expected);
  // Nobody leads here, so nothing was proposed; and the log's own word is what it was.
  expect(await node.sql("select from raft.inbox")).toEqual([]);
  expect(await node.sql("select from cluster.member where control_port = 5555")).toEqual([]);
});

test("nobody moves another, or an earlier life of itself", async () => {
  const before = await peer.places(second, me);
  for (const body of [
    { node_id: 3, control_port: 6666 },
    { incarnation: "00000000-0000-4000-8000-000000000009", control_port: 6666 },
  ]) {
    const { cause } = await errorOf(moves(body));
    expect(cause).toMatchObject({ code: "RF008", message: "node 2 may move nobody but itself" });
  }
  expect(await peer.places(second, me)).toEqual(before);
});

test("a stranger is told nothing", async () => {
  const stranger = { ...me, clusterId: crypto.randomUUID() };
  const { cause } = await errorOf(peer.places(second, stranger));
  expect(cause).toMatchObject({ code: "RF008" });
});
