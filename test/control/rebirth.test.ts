/** A control store that is lost, or an older copy of itself, is another life: it has no voice until the log says so. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { readIdentity } from "../../src/config/identity.ts";
import { connect } from "../../src/db/connect.ts";
import { quietHints } from "../../src/db/hints.ts";
import { agentView } from "../../src/db/node.ts";
import * as peer from "../../src/db/peer.ts";
import { type Entry, markSilent, sample } from "../../src/db/raft.ts";
import { silentLog } from "../../src/log/logger.ts";
import { ownControlStore } from "../../src/worker/control-store.ts";
import { untilDamaged } from "../../src/worker/damage.ts";
import { keepMark, readMark } from "../../src/worker/life-mark.ts";
import { sharedUpkeep } from "../../src/worker/upkeep.ts";
import { flipByte } from "../support/flip-byte.ts";
import { mustRun } from "../support/programs.ts";
import { skip } from "../support/skip.ts";
import { until } from "../support/until.ts";
import { type TestNode, testNode } from "./node.ts";

let node: TestNode;

beforeEach(async () => {
  node = await testNode();
  await node.create();
}, 60_000);
afterEach(() => node.close());

const OTHER = "00000000-0000-4000-8000-000000000003";

async function identity() {
  const own = await readIdentity(node.config.dir);
  if (own === undefined) throw new Error("no identity");
  return own;
}

async function withStore<T>(work: (db: Awaited<ReturnType<typeof connect>>) => Promise<T>) {
  const db = await connect(ownControlStore(node.config, "test"));
  try {
    return await work(db);
  } finally {
    await db.end();
  }
}

const from = async (): Promise<peer.Sender> => ({
  clusterId: (await identity()).clusterId,
  nodeId: 2,
  incarnation: OTHER,
});

/** A vote for node 2 in the term after the store's own; why not, or that it was granted. */
function vote(): Promise<string> {
  return withStore(async (db) => {
    const { bootId, heard, term, lastIndex, lastTerm } = await sample(db);
    await markSilent(db, { bootId, heard });
    const ask = { term: term + 1n, lastTerm, lastIndex, counter: undefined, transfer: false };
    return (await peer.requestVote(db, await from(), ask)).reason;
  });
}

let sequence = 0n;
function append(term: bigint, commands: readonly (readonly [string, object])[]) {
  return withStore(async (db) => {
    const { lastIndex, lastTerm } = await sample(db);
    const entries = commands.map(([kind, body], offset): Entry => {
      sequence += 1n;
      const index = lastIndex + BigInt(offset) + 1n;
      const whole = { at: "2026-01-01T00:00:00Z", ...body };
      return { index, term, kind, client: OTHER, sequence, body: whole };
    });
    const commit = lastIndex + BigInt(entries.length);
    const ask = { term, prevIndex: lastIndex, prevTerm: lastTerm, entries, commit };
    const { applied_index } = await peer.appendEntries(db, await from(), ask);
    expect(applied_index).toBe(commit);
  });
}

const outcomes = async () =>
  (await node.sql("select outcome from cluster.proposal order by log_index")).map(
    ({ outcome }) => outcome,
  );

test("its directory is gone: a new life that hears the log and votes only once the log knows it", async () => {
  await node.start();
  const before = await identity();
  await node.stop();
  await rm(node.config.control.dir, { recursive: true });
  await node.start();
  const { incarnation } = await identity();
  expect(incarnation).not.toBe(before.incarnation);
  expect(await vote()).toBe("learner");

  // The log of the cluster as its former life had known it: an appointment in it is nobody's order now.
  const former = { node_id: 1, incarnation: before.incarnation };
  await append(7n, [
    ["register", former],
    ["found", { node_id: 1, system_identifier: "77" }],
  ]);
  expect(await vote()).toBe("learner");
  expect((await withStore(agentView)).goal).toBe("none");

  await append(7n, [["readmit", { node_id: 1, incarnation, replaces: before.incarnation }]]);
  expect((await withStore(agentView)).goal).toBe("primary");
  // Nobody counts its vote before it is a voter; whoever knows that it is may know it first (H53).
  expect(await vote()).toBe("granted");
}, 60_000);

test("a life that has ended never comes back, and the last voter is not replaced", async () => {
  await node.start();
  const { incarnation: first } = await identity();
  const second = "00000000-0000-4000-8000-00000000000a";
  await append(3n, [
    ["register", { node_id: 1, incarnation: first }],
    ["readmit", { node_id: 1, incarnation: second, replaces: OTHER }],
    ["readmit", { node_id: 1, incarnation: second, replaces: first }],
    ["readmit", { node_id: 1, incarnation: first, replaces: second }],
    ["voter", { node_id: 1, incarnation: first }],
    ["voter", { node_id: 1, incarnation: second }],
    ["voter", { node_id: 1, incarnation: second }],
  ]);
  expect(await outcomes()).toEqual([
    "ok",
    "stale_incarnation",
    "ok",
    "used_incarnation",
    "incarnation_differs",
    "ok",
    "votes_already",
  ]);
  const refused = withStore(async (db) =>
    peer.hello(db, { clusterId: (await identity()).clusterId, nodeId: 1, incarnation: first }),
  );
  await expect(refused).rejects.toThrow(/not the incarnation/);
}, 60_000);

/** Run it, with an entry of term 9 that its mark knows of, and put it back to what it was before. */
async function putBackOlder(): Promise<void> {
  await node.start();
  const { incarnation } = await identity();
  await node.stop();
  const copy = `${node.config.control.dir}.copy`;
  await mustRun("cp", ["-a", node.config.control.dir, copy]);

  await node.start();
  await append(9n, [["noop", { node_id: 2 }]]);
  const end = new AbortController();
  const store = await connect(ownControlStore(node.config, "test"));
  const { config, owner } = node;
  const parts = { config, owner, incarnation, store, hints: quietHints() };
  const keeping = keepMark({ ...parts, clock: monotonicClock, log: silentLog, signal: end.signal });
  await until("the mark is written", { limitMs: 5000 }, async () => {
    return (await readMark(config))?.term === 9n;
  });
  end.abort();
  await keeping;
  await store.end();

  await node.stop();
  await rm(config.control.dir, { recursive: true });
  await mustRun("cp", ["-a", copy, config.control.dir]);
}

test("an older copy of the store is put back: the mark beside the data shows it", async () => {
  await putBackOlder();
  const { incarnation } = await identity();
  // Nobody hears the old life speak, however soon he asks: it might vote again where it has voted (R2).
  const knocks = knock();
  await node.start();
  await until("it answers", { limitMs: 5000 }, () => knocks.heard.size > 0);
  await knocks.stop();
  expect([...knocks.heard]).toEqual([(await identity()).incarnation]);
  expect(knocks.heard).not.toContain(incarnation);
  expect(await vote()).toBe("learner");
  await node.stop();
  // The new life is not behind itself.
  const { incarnation: now } = await identity();
  await node.start();
  expect((await identity()).incarnation).toBe(now);
}, 90_000);

test("to make it anew fails half way: it is still known for an older copy", async (context) => {
  if (process.getuid?.() !== 0) return skip(context, "mounting needs root");
  await putBackOlder();
  const { incarnation } = await identity();
  // Where the older copy is to be moved lies something that cannot be taken away.
  const former = `${node.config.control.dir}.former`;
  await mkdir(former);
  await mustRun("mount", ["-t", "tmpfs", "none", former]);
  try {
    await expect(node.start()).rejects.toThrow(/EBUSY/);
  } finally {
    await mustRun("umount", [former]);
  }
  await node.start();
  expect((await identity()).incarnation).not.toBe(incarnation);
  expect(await vote()).toBe("learner");
}, 90_000);

/** Somebody says hello again and again; the lives that answered. */
function knock() {
  const heard = new Set<string>();
  let stopping = false;
  const once = async () => {
    const from = { nodeId: 2, incarnation: "00000000-0000-4000-8000-000000000002" };
    const db = await connect(ownControlStore(node.config, "knock"));
    try {
      const { clusterId } = node.config;
      heard.add((await peer.hello(db, { ...from, clusterId })).incarnation);
    } finally {
      await db.end();
    }
  };
  const knocking = (async () => {
    while (!stopping) {
      await once().catch(() => undefined); // it does not run, or is not verified yet
      await monotonicClock.sleep(1);
    }
  })();
  return {
    heard,
    stop: async () => {
      stopping = true;
      await knocking;
    },
  };
}

/** One byte of a table's first page, in its rows, is another one from now on. The store does not run. */
async function flipByteOf(table: string): Promise<void> {
  await node.start();
  const path = await withStore(async (db) => {
    await db.query("checkpoint");
    const { rows } = await db.query("select pg_relation_filepath($1::regclass) as path", [table]);
    return join(node.config.control.dir, rows[0].path);
  });
  await node.stop();
  await flipByte(path, 8000);
}

test("a store that cannot be read at its start is another life (H57)", async () => {
  const { incarnation } = await identity();
  await flipByteOf("node.identity");
  await node.start();
  expect((await identity()).incarnation).not.toBe(incarnation);
  expect(await vote()).toBe("learner");
}, 60_000);

test("a damaged page that is met later condemns the store, and one that was met before does not", async () => {
  await node.start();
  await append(9n, [["noop", { node_id: 2 }]]);
  await node.stop();
  await flipByteOf("raft.log");
  await node.start();
  const store = await connect(ownControlStore(node.config, "test"));
  const end = new AbortController();
  const parts = { ask: sharedUpkeep(store), clock: monotonicClock, log: silentLog };
  try {
    const met = untilDamaged({ ...parts, signal: end.signal });
    await parts.ask();
    await expect(store.query("select * from raft.log")).rejects.toMatchObject({ code: "XX001" });
    expect(await met).toMatch(/damaged pages/);
    const again = untilDamaged({ ...parts, signal: end.signal });
    await monotonicClock.sleep(1500);
    end.abort();
    expect(await again).toBeUndefined();
  } finally {
    end.abort();
    await store.end();
  }
}, 60_000);
