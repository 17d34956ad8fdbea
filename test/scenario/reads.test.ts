/** What a leader may tell those who want to read: not before a majority has confirmed it since they asked (R12). */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Clock } from "../../src/clock/clock.ts";
import { quietHints } from "../../src/db/hints.ts";
import { silentLog } from "../../src/log/logger.ts";
import { Reads } from "../../src/raft/reads.ts";

let now: number;
/** When the newest round of heartbeats began that a majority has confirmed. */
let confirmed: number;
let commit: bigint | undefined;
/** In the own store. */
let ticket: bigint;
let told: [bigint, bigint][];
let rounds: number;
let end: AbortController;
let reads: Reads;

const clock: Clock = {
  now: () => now,
  sleep: (_ms, signal) =>
    new Promise((resolve) => signal?.addEventListener("abort", () => resolve())),
};
const hints = quietHints(clock);
/** Let all that can go on go on. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
  now = 1000;
  confirmed = Number.NEGATIVE_INFINITY;
  commit = 7n;
  ticket = 0n;
  told = [];
  rounds = 0;
  end = new AbortController();
  const replicator = {
    confirmedSince: () => confirmed,
    beatNow: () => {
      rounds += 1;
    },
    readIndex: () => commit,
  };
  const asked = async () => (told.some(([answered]) => answered >= ticket) ? 0n : ticket);
  const confirm = async (upTo: bigint, index: bigint) => void told.push([upTo, index]);
  const signal = end.signal;
  reads = new Reads({ replicator, asked, confirm, hints, clock, log: silentLog, signal });
  void reads.run();
});
afterEach(() => end.abort());

async function ask(number: bigint): Promise<void> {
  ticket = number;
  hints.nudge();
  await settle();
}

async function round(begun: number): Promise<void> {
  confirmed = begun;
  reads.acked();
  await settle();
}

test("a question is answered after a round that began when it was there, and not before", async () => {
  confirmed = 999;
  await ask(1n);
  expect([told, rounds]).toEqual([[], 1]);
  await round(999);
  expect(told).toEqual([]);
  now = 1040;
  await round(1001);
  expect(told).toEqual([[1n, 7n]]);
});

test("who asks while a round is under way has the next one", async () => {
  await ask(1n);
  now = 1020;
  await ask(3n);
  await round(1001);
  expect([told, rounds]).toEqual([[[1n, 7n]], 2]);
  await round(1019);
  expect(told).toHaveLength(1);
  commit = 9n;
  await round(1021);
  expect(told).toEqual([
    [1n, 7n],
    [3n, 9n],
  ]);
});

test("until an entry of its own term is committed a leader knows of nothing to read up to", async () => {
  commit = undefined;
  await ask(1n);
  await round(1100);
  expect(told).toEqual([]);
  commit = 8n;
  await round(1101);
  expect(told).toEqual([[1n, 8n]]);
});

test("when the term is over nobody is answered any more", async () => {
  await ask(1n);
  end.abort();
  await round(1100);
  expect(told).toEqual([]);
});
