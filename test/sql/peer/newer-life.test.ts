/** A member in a life that this log has not heard of: it may greet and lead, it has no vote here, and no way back. */
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

const ask = { lastTerm: 0n, lastIndex: 0n, counter: undefined };
const append = (term: bigint) =>
  peer.appendEntries(second, me, { term, prevIndex: 0n, prevTerm: 0n, entries: [], commit: 0n });

test("it is greeted, and told whom the log knows", async () => {
  const ids = (await node.sql("select node_id from cluster.member")).map((row) => row.node_id);
  expect(ids.length).toBeGreaterThan(1);
  expect((await peer.hello(second, me)).members).toEqual(ids.sort());
});

test("no vote is given to it", async () => {
  for (const asked of [
    () => peer.preVote(second, me, { term: 5n, ...ask }),
    () => peer.requestVote(second, me, { term: 5n, ...ask, transfer: true }),
  ]) {
    const { cause } = await errorOf(asked());
    expect(cause).toMatchObject({ code: "RF008", message: expect.stringMatching(/incarnation/) });
  }
});

test("it is heard as a leader, else a store that lags would never learn of it", async () => {
  expect(await append(6n)).toMatchObject({ success: true });
  expect(await peer.heartbeat(second, me, 6n)).toMatchObject({ success: true });
});

test("a life that has ended is refused by every function", async () => {
  await node.sql(`insert into cluster.former_incarnation values (2, '${me.incarnation}')`);
  for (const asked of [
    () => peer.hello(second, me),
    () => append(7n),
    () => peer.heartbeat(second, me, 6n),
  ]) {
    const { cause } = await errorOf(asked());
    expect(cause).toMatchObject({ code: "RF008", message: expect.stringMatching(/incarnation/) });
  }
});

test("a stranger, and who speaks for another, are told nothing", async () => {
  for (const other of [
    { ...me, clusterId: crypto.randomUUID() },
    { ...me, nodeId: 1 },
    { ...me, nodeId: 9 },
  ]) {
    const { cause } = await errorOf(peer.hello(second, other));
    expect(cause).toMatchObject({ code: "RF008" });
  }
});
