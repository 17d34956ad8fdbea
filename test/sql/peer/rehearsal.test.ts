/** A rehearsal goes through all of a failover's steps in the store, and leaves nothing behind (peer.rehearse). */
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nodePassword } from "../../../src/config/secrets.ts";
import { connect } from "../../../src/db/connect.ts";
import * as peer from "../../../src/db/peer.ts";
import { ownControlStore } from "../../../src/worker/control-store.ts";
import { overTcp, type TestNode } from "../../control/node.ts";
import { openSecond, type Second } from "./second.ts";

let opened: Second;
let node: TestNode;
let second: pg.Client;
let me: peer.Sender;

beforeAll(async () => {
  opened = await openSecond();
  ({ node, second, me } = opened);
  await found();
}, 60_000);
afterAll(() => opened?.close());

/** Node 2 leads, and the cluster was founded: epoch 1. */
async function found(): Promise<void> {
  const commands = [
    ["register", { node_id: 2, incarnation: me.incarnation, pg_version: "18" }],
    ["found", { node_id: 2, system_identifier: "7000000000000000001", mode: "quorum" }],
  ] as const;
  const entries = commands.map(([kind, body], at) => ({
    index: BigInt(at + 1),
    term: 1n,
    kind,
    client: "00000000-0000-4000-8000-000000000001",
    sequence: BigInt(at + 1),
    body: { at: "2026-01-01T00:00:00Z", ...body },
  }));
  const ask = { term: 1n, prevIndex: 0n, prevTerm: 0n, entries, commit: 2n };
  expect(await peer.appendEntries(second, me, ask)).toMatchObject({ applied_index: 2n });
}

/** A hash of every table, and how often a leader was heard, which no exception takes back. */
async function contents(): Promise<unknown[]> {
  return await node.sql(`
    select 'heard' as name, raft.heard_count()::text as hash
    union all
    select format('%I.%I', t.table_schema, t.table_name) as name,
           md5(query_to_xml(format('select * from %I.%I as r order by r::text', t.table_schema, t.table_name),
                            true, false, '')::text) as hash
      from information_schema.tables as t
     where t.table_schema in ('raft', 'cluster', 'node') and t.table_type = 'BASE TABLE'
     order by 1`);
}

test("all steps are gone through, every table is as it was, and nobody was heard (H54)", async () => {
  const before = await contents();
  expect(before.length).toBeGreaterThan(20);
  expect(await peer.rehearse(second, me)).toBe("serving");
  expect(await contents()).toEqual(before);
});

test("nobody is told of it", async () => {
  const heard: string[] = [];
  const listener = await overTcp(node.config, "pgreplica_node_2", nodePassword(node.config, 2));
  try {
    listener.on("notification", ({ channel }) => heard.push(channel));
    await listener.query("listen pg_replica_wake");
    await listener.query("listen pg_replica_event");
    await listener.query("listen pg_replica_leader");
    expect(await peer.rehearse(second, me)).toBe("serving");
    await listener.query("select pg_catalog.pg_notify('pg_replica_wake', 'the end')");
    expect(heard).toEqual(["pg_replica_wake"]);
  } finally {
    await listener.end();
  }
});

test("a vote under way goes first, and a rehearsal does not wait for it", async () => {
  const voter = await connect(ownControlStore(node.config, "test"));
  try {
    await voter.query("begin");
    await voter.query("select from raft.hard_state for update");
    expect(await peer.rehearse(second, me)).toBe("not now");
  } finally {
    await voter.end();
  }
});

test("nothing is rehearsed while the leader is silent: an election may come", async () => {
  const [{ marked } = {}] = await node.sql(
    "select raft.mark_silent(s.boot_id, s.heard) as marked from raft.sample() as s",
  );
  expect(marked).toBe(true);
  expect(await peer.rehearse(second, me)).toBe("not now");
});

test("a stranger is refused", async () => {
  const stranger = { ...me, clusterId: "00000000-0000-4000-8000-00000000dead" };
  await expect(peer.rehearse(second, stranger)).rejects.toMatchObject({ kind: "refused_stranger" });
});
