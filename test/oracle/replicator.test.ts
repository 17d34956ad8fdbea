/** What a leader counts: the real replicator over two real stores, of three; the third never answers (R6, R9). */
import type pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import type { NodeId } from "../../src/core/ids.ts";
import { silentLog } from "../../src/log/logger.ts";
import { transfer } from "../../src/raft/hand-over.ts";
import { type AcceptorLink, NO_ANSWER } from "../../src/raft/links.ts";
import { Replicator } from "../../src/raft/replicator.ts";
import { until } from "../support/until.ts";
import { type Database, openPglite } from "./database.ts";
import { Store, senderOf } from "./store.ts";

const databases: Database[] = [];
let own: Store;
let other: Store;
/** Stores that answer now. */
let answering: Set<NodeId>;
let known: Set<NodeId>;
let higher: bigint[];
/** Node and lane of each question. */
let asked: Set<string>;
let end: AbortController;

beforeAll(async () => {
  for (const _ of [1, 2]) databases.push(await openPglite());
  own = await Store.create(1, databases[0] as Database);
  other = await Store.create(2, databases[1] as Database);
}, 300_000);
afterAll(async () => {
  for (const database of databases) await database.close();
});
beforeEach(async () => {
  for (const store of [own, other]) await store.reset();
  answering = new Set([1, 2]);
  known = new Set([1, 2, 3]);
  higher = [];
  asked = new Set();
  end = new AbortController();
});
afterEach(() => end.abort());

/** One question at a time on a connection, as a link has it. */
function link(id: NodeId, store: Store): AcceptorLink {
  let tail: Promise<unknown> = Promise.resolve();
  return {
    id,
    call: (lane, _limitMs, ask) => {
      asked.add(`${id} ${lane}`);
      if (!answering.has(id)) return Promise.resolve(NO_ANSWER);
      const answer = tail.then(() => ask(store.client as pg.Client));
      tail = answer.catch(() => undefined);
      return answer;
    },
  };
}

const NOTHING = { term: 1n, prevIndex: 0n, prevTerm: 0n };

/** Node 1 leads: term 1 with an empty log, unless told otherwise. */
function lead({ term, ...last } = { term: 1n, lastIndex: 0n, lastTerm: 0n }): Replicator {
  const replicator = new Replicator({
    me: senderOf(1),
    term,
    last: { ...last, commitIndex: last.lastIndex },
    voters: () => [1, 2, 3],
    votersAt: () => 0n,
    isKnown: (id) => known.has(id),
    links: new Map([link(1, own), link(2, other)].map((one) => [one.id, one])),
    store: own.client,
    heartbeatMs: () => 50,
    keep: { maxLogEntries: 100, maxLogBytes: 1_000_000 },
    clock: monotonicClock,
    log: silentLog,
    signal: end.signal,
    onAcked: () => undefined,
    onHigherTerm: (term) => void higher.push(term),
  });
  for (const once of [1, 2]) {
    replicator.propose("noop", { node_id: 1, once }).catch(() => undefined);
  }
  void replicator.run();
  return replicator;
}

const committed = async (store: Store) => Number((await store.snapshot()).commit_index);
const holds = (store: Store, count: number) =>
  until(`${count} entries`, { limitMs: 5000 }, async () => {
    return Number((await store.snapshot()).last_index) >= count;
  });
/** Several rounds of heartbeats and appends. */
const aWhile = () => monotonicClock.sleep(400);

test("what its own store and one other hold is committed", async () => {
  lead();
  await until("both know", { limitMs: 5000 }, async () => {
    return (await committed(own)) === 2 && (await committed(other)) === 2;
  });
});

test("its own copy counts once its own store has it, and not before (H52)", async () => {
  answering.delete(1);
  lead();
  await holds(other, 2);
  await aWhile();
  expect(await committed(other)).toBe(0);
});

test("a store in a higher term refuses: what it holds counts for nothing (H61)", async () => {
  const noop = (index: bigint) => ({
    index,
    term: 2n,
    client: `00000000-0000-4000-8000-00000000000${index}`,
    sequence: 1n,
    kind: "noop",
    body: { at: "2026-01-01T00:00:00Z", node_id: 3 },
  });
  const entries = [1n, 2n, 3n].map(noop);
  await other.appendEntries(senderOf(3), {
    term: 2n,
    prevIndex: 0n,
    prevTerm: 0n,
    entries,
    commit: 0n,
  });
  lead();
  await holds(own, 2);
  await until("the higher term is heard of", { limitMs: 5000 }, () => higher.includes(2n));
  await aWhile();
  expect(await committed(own)).toBe(0);
});

test("a store that the log does not know counts for nothing, whatever it holds (H56)", async () => {
  known.delete(2);
  lead();
  await holds(own, 2);
  await holds(other, 2);
  await aWhile();
  expect(await committed(own)).toBe(0);
});

test("who lacks what is compacted is served by snapshot, and goes on from the log", async () => {
  const kv = (sequence: bigint) => ({
    index: sequence,
    term: 1n,
    client: "00000000-0000-4000-8000-0000000000aa",
    sequence,
    kind: "kv_set",
    body: { at: "2026-01-01T00:00:00Z", key: "k", value: "v" },
  });
  const entries = Array.from({ length: 40 }, (_, at) => kv(BigInt(at + 1)));
  await own.appendEntries(senderOf(1), { ...NOTHING, entries, commit: 40n });
  while (await own.compact(3));
  expect((await own.snapshot()).snapshot_index).toBe("37");
  lead({ term: 2n, lastIndex: 40n, lastTerm: 1n });
  await until("both are alike", { limitMs: 10_000 }, async () => {
    const [ours, theirs] = [await own.contents(), await other.contents()];
    return theirs.snapshot.applied_index === "42" && theirs.state_hash === ours.state_hash;
  });
  expect((await other.snapshot()).snapshot_index).not.toBe("0");
  const { rows } = await own.client.query("select count(*)::int as left from raft.snapshot_part");
  expect(rows).toEqual([{ left: 0 }]);
  // What takes long is nowhere in the way of what everybody waits for, not in the own store either.
  expect(asked).toContain("1 bulk");
});

test("who is to lead catches up under any load, for what comes meanwhile waits (Raft thesis 3.10)", async () => {
  const replicator = lead();
  await holds(other, 2);
  let going = true;
  let settled = 0;
  const load = async () => {
    while (going) {
      await replicator.propose("noop", { node_id: 1 });
      settled += 1;
      await monotonicClock.sleep(1); // the stores are in this process, and leave timers no time
    }
  };
  const loads = Promise.all([load(), load(), load(), load()]);
  try {
    await until("it is busy", { limitMs: 5000 }, () => settled > 8);
    let asked = 0;
    let elected = false;
    const call = (_lane: string, _limitMs: number, _ask: unknown) => {
      asked = settled;
      elected = replicator.caughtUp(2);
      return Promise.resolve(true);
    };
    const links = new Map([[2, { call: call as never }]]);
    const own = { me: senderOf(1), links, clock: monotonicClock, log: silentLog };
    const leading = { term: 1n, replicator, signal: end.signal, limitMs: 400 };
    await transfer(own, 2, leading);
    expect(elected).toBe(true);
    // Nothing was added while it might have been elected; it was not, and the proposals that waited go on.
    expect(settled).toBeLessThanOrEqual(asked + 8);
    await until("it goes on", { limitMs: 5000 }, () => settled > asked + 20);
  } finally {
    going = false;
    await loads;
  }
});

test("what waits when the term ends is refused, and not in the log", async () => {
  const replicator = lead();
  await holds(own, 2);
  replicator.door.shut();
  const waiting = replicator.propose("noop", { node_id: 1, once: 3 });
  end.abort();
  await expect(waiting).rejects.toThrow("term 1 ended first");
  expect(Number((await own.snapshot()).last_index)).toBe(2);
});
