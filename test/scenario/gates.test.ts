/**
 * Whom a leader lets through its gates: proposals once they are applied here, questions once a majority has confirmed
 * it since they were asked (R12).
 */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Clock } from "../../src/clock/clock.ts";
import { quietHints } from "../../src/db/hints.ts";
import type { InboxProposal, ReadAnswer } from "../../src/db/raft.ts";
import { silentLog } from "../../src/log/logger.ts";
import { Gates } from "../../src/raft/gates.ts";

let now: number;
/** When the newest round of heartbeats began that a majority has confirmed. */
let confirmed: number;
let commit: bigint | undefined;
/** In the own store. */
let ticket: bigint;
let told: [bigint, bigint][];
let rounds: number;
let end: AbortController;
let gates: Gates;
/** Handed in, and not taken. */
let inbox: InboxProposal[];
/** Taken, and not applied. */
let taken: { readonly key: string; readonly apply: () => void }[];
/** The newest that was shut, and those that were opened. */
let shut: bigint;
let opened: bigint[];
let due: (() => void)[];

const clock: Clock = {
  now: () => now,
  sleep: (_ms, signal) =>
    new Promise((resolve) => {
      due.push(resolve);
      signal?.addEventListener("abort", () => resolve());
    }),
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
  inbox = [];
  taken = [];
  shut = 1n;
  opened = [];
  due = [];
  const replicator = {
    take: ({ client }: InboxProposal) =>
      new Promise<void>((apply) => taken.push({ key: client, apply })),
    confirmedSince: () => confirmed,
    beatNow: () => {
      rounds += 1;
    },
    readIndex: () => commit,
  };
  const turn = async () => {
    const gate = shut;
    shut += 1n;
    const answered = told.some(([upTo]) => upTo >= ticket);
    return { gate, ticket: answered ? 0n : ticket, proposals: inbox.splice(0) };
  };
  const confirm = async ({ ticket, index }: ReadAnswer) => void told.push([ticket, index]);
  const open = async (gate: bigint, answer: ReadAnswer | undefined) => {
    opened.push(gate);
    if (answer !== undefined) await confirm(answer);
    return inbox.length > 0 || (told.every(([upTo]) => upTo < ticket) && ticket > 0n);
  };
  const signal = end.signal;
  gates = new Gates({ replicator, turn, open, confirm, hints, clock, log: silentLog, signal });
  void gates.run();
});
afterEach(() => end.abort());

async function ask(number: bigint): Promise<void> {
  ticket = number;
  hints.nudge();
  await settle();
}

async function handIn(client: string): Promise<void> {
  inbox.push({ client, sequence: 1n, kind: "entry", body: {} });
  hints.nudge();
  await settle();
}

async function apply(client: string): Promise<void> {
  taken.find(({ key }) => key === client)?.apply();
  await settle();
}

async function round(begun: number): Promise<void> {
  confirmed = begun;
  gates.acked();
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

test("a gate is opened when what was handed in at it is applied, and what came meanwhile waits at the next", async () => {
  await settle();
  const before = opened.length;
  await handIn("a");
  expect(opened).toHaveLength(before);
  await handIn("b");
  expect(taken.map(({ key }) => key)).toEqual(["a"]);
  await apply("a");
  expect(opened).toHaveLength(before + 1);
  expect(taken.map(({ key }) => key)).toEqual(["a", "b"]);
  await apply("b");
  // Each once, in order, and none that is still shut for those who will come.
  expect(opened).toEqual(opened.toSorted((x, y) => Number(x - y)));
  expect(opened.at(-1)).toBe(shut - 1n);
});

test("what finds no majority holds up nobody who comes later", async () => {
  await settle();
  await handIn("a");
  const before = opened.length;
  for (const resolve of due.splice(0)) resolve();
  await settle();
  expect(opened.length).toBeGreaterThan(before);
  await handIn("b");
  expect(taken.map(({ key }) => key)).toEqual(["a", "b"]);
});
