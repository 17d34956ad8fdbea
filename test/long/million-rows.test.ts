/** A million rows in one transaction: each of them, in order, in little memory; and a bound inside it cuts nothing. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  Lsn,
  ReplicationClient,
  type ReplicationConfig,
  type ReplicationEvent,
} from "../../src/logical/index.ts";
import { type Bench, openBench } from "../logical/bench.ts";
import { heapMb } from "../support/leaks.ts";

const ROWS = 1_000_000;
/** Beside what is buffered: the rows themselves are some hundred MB of objects. */
const GROWTH_MB = 100;

let bench: Bench;
let plain: ReplicationConfig;
let streamed: ReplicationConfig;
/** Somewhere within the transaction, and where it ends. */
let inside: Lsn;
let end: Lsn;

beforeAll(async () => {
  bench = await openBench(undefined, { fsync: "off", max_wal_size: "4GB" });
  plain = await bench.slot();
  streamed = await bench.slot();
  const before = await bench.walEnd();
  await bench.server.sql(`insert into t select i, 'row ' || i from generate_series(1, ${ROWS}) i`);
  end = await bench.walEnd();
  inside = Lsn.from((before + end) / 2n);
  await bench.server.sql("insert into t values (0, 'the next transaction')");
}, 120_000);
afterAll(() => bench.lab.close());

/** Counts, and keeps nothing. */
async function read(config: ReplicationConfig) {
  const client = await ReplicationClient.connect(config);
  const kinds: Record<string, number> = {};
  const found = { rows: 0, inOrder: true, last: undefined as ReplicationEvent | undefined };
  let growth = 0;
  const before = heapMb();
  await client.consume((event) => {
    kinds[event.kind] = (kinds[event.kind] ?? 0) + 1;
    found.last = event;
    if (event.kind !== "insert") return;
    found.rows += 1;
    found.inOrder &&= event.new.id === `${found.rows}` && event.new.v === `row ${found.rows}`;
    if (found.rows % 100_000 === 0) growth = Math.max(growth, heapMb() - before);
  });
  expect(growth).toBeLessThan(GROWTH_MB);
  expect(found.inOrder).toBe(true);
  const reached = found.last?.kind === "stoppedAt" ? found.last.reached : Lsn.ZERO;
  return { rows: found.rows, kinds, reached };
}

test("bounded where it ends: all of it, and nothing of the next", {
  timeout: 120_000,
}, async () => {
  const { rows, kinds, reached } = await read({ ...plain, stopAtLsn: end });
  expect(rows).toBe(ROWS);
  expect(kinds).toMatchObject({ begin: 1, commit: 1, stoppedAt: 1 });
  expect(reached).toBeGreaterThanOrEqual(end);
});

test("bounded inside it: all of it or nothing", { timeout: 120_000 }, async () => {
  const { rows, kinds, reached } = await read({ ...plain, stopAtLsn: inside });
  // The server says how far it has read before it sends what it read: then nothing of it was owed.
  expect([0, ROWS]).toContain(rows);
  expect(kinds.begin).toBe(kinds.commit);
  expect(reached).toBeGreaterThanOrEqual(inside);
});

test("streamed before its commit: the same rows", { timeout: 120_000 }, async () => {
  const { rows, kinds } = await read({ ...streamed, streaming: "on", stopAtLsn: end });
  expect(rows).toBe(ROWS);
  expect(kinds).toMatchObject({ streamCommit: 1, stoppedAt: 1 });
  expect(kinds.streamStart).toBe(kinds.streamStop);
});

test("streamed, bounded inside it: no block is cut, and without a commit it counts for nothing", {
  timeout: 120_000,
}, async () => {
  const { rows, kinds, reached } = await read({
    ...streamed,
    streaming: "on",
    stopAtLsn: inside,
  });
  expect(kinds.streamStart).toBe(kinds.streamStop);
  expect(rows === ROWS).toBe(kinds.streamCommit === 1);
  expect(reached).toBeGreaterThanOrEqual(inside);
});
