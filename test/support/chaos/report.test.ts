/** The judge of chaos runs: whatever is wrong makes a run fail, and a run that shows nothing proves nothing. */
import { expect, test } from "vitest";
import type { Verdict } from "../load/load.ts";
import { brokenPromises, isSpurious, tooLate, vacuous } from "./report.ts";

const many = { ok: 900, fail: 3, unknown: 2 };
const clean: Verdict = {
  ...{ attempted: 5000, acknowledged: 4900, unknown: 40, refused: 60 },
  ...{ lost: [], invented: [], twoWriters: [], listAnomalies: [] },
  transactions: many,
  listEdges: { ww: 100, wr: 100, rw: 100, rt: 100 },
  service: {
    ...{ counts: { keys: many, log: many }, keys: 4, entries: 900, looks: 50, anomalies: [] },
  },
  bank: { moved: many, readings: 80, different: 70, anomalies: [] },
  readings: { added: many, primary: 80, standby: 80, anomalies: [] },
  samples: { 1: 500, 2: 500, 3: 500 },
};
const window = {
  ...{ faults: ["F06 the primary's node is killed"], gapMs: 300, convergedMs: 3000, failovers: 1 },
  ...{ lagMs: 4, overloaded: false },
};
const quiet = { attempted: 100, acknowledged: 99 };

test("a clean verdict breaks no promise", () => {
  expect(brokenPromises(clean, [])).toEqual([]);
});

const entry = (node: number, epoch: bigint) => ({ node, epoch, from: 0, to: 1 });
const anomaly = { class: "G1c", what: "a cycle" };
test.each<[string, Partial<Verdict>]>([
  ["an acknowledged row is lost: 1/77", { lost: ["1/77"] }],
  ["a row came from nowhere: 1/78", { invented: ["1/78"] }],
  [
    "two writers: at once: node 1, epoch 2; node 3, epoch 2",
    { twoWriters: [{ why: "at once", first: entry(1, 2n), second: entry(3, 2n) }] } as never,
  ],
  ["lists: G1c: a cycle", { listAnomalies: [anomaly] } as never],
  ["service: G1c: a cycle", { service: { ...clean.service, anomalies: [anomaly] } } as never],
  ["accounts: G1c: a cycle", { bank: { ...clean.bank, anomalies: [anomaly] } } as never],
  ["readings: G1c: a cycle", { readings: { ...clean.readings, anomalies: [anomaly] } } as never],
])("%s", (said, wrong) => {
  expect(brokenPromises({ ...clean, ...wrong }, [])).toEqual([said]);
});

test("members that differ at rest break one", () => {
  expect(brokenPromises(clean, ["table written"])).toEqual(["data differ at rest: table written"]);
});

test("a failover that no fault called for is spurious, and only such a one", () => {
  expect(isSpurious(["never"], 1)).toBe(true);
  expect(isSpurious(["never", "never"], 2)).toBe(true);
  expect(isSpurious(["never"], 0)).toBe(false);
  expect(isSpurious(["never", "may"], 1)).toBe(false);
  expect(isSpurious(["must"], 1)).toBe(false);
});

test("what takes too long is late, but on a machine that is overloaded", () => {
  expect(tooLate(["must"], window)).toEqual([]);
  expect(tooLate(["may"], { ...window, convergedMs: 60_001 })).toEqual(["whole after 60001 ms"]);
  expect(tooLate(["must"], { ...window, gapMs: 15_001 })).toEqual(["no write for 15001 ms"]);
  // Two at once, or what stops all writes while it lasts, has no such limit.
  expect(tooLate(["must", "may"], { ...window, gapMs: 15_001 })).toEqual([]);
  expect(tooLate(["never"], { ...window, gapMs: 15_001 })).toEqual([]);
  const slow = { gapMs: 15_001, convergedMs: 60_001, overloaded: true };
  expect(tooLate(["must"], slow)).toEqual([]);
});

test("a run proves something when clients could work, and did", () => {
  expect(vacuous({ quiet, verdict: clean, windows: [window] })).toEqual([]);
});

const few = { ok: 49, fail: 0, unknown: 0 };
test.each<[string, Parameters<typeof vacuous>[0]]>([
  ["no fault was injected", { quiet, verdict: clean, windows: [] }],
  [
    "nothing was attempted in quiet periods",
    { quiet: { attempted: 0, acknowledged: 0 }, verdict: clean, windows: [window] },
  ],
  [
    "49 of 100 writes were acknowledged in quiet periods",
    { quiet: { attempted: 100, acknowledged: 49 }, verdict: clean, windows: [window] },
  ],
  [
    "the probe of node 2 has 4 samples",
    { quiet, verdict: { ...clean, samples: { 1: 5, 2: 4, 3: 5 } }, windows: [window] },
  ],
  [
    "49 transactions on lists",
    { quiet, verdict: { ...clean, transactions: few }, windows: [window] },
  ],
  [
    "the lists have no order",
    {
      quiet,
      verdict: { ...clean, listEdges: { ww: 100, wr: 100, rw: 49, rt: 100 } },
      windows: [window],
    },
  ],
])("it proves nothing: %s", (said, run) => {
  expect(vacuous(run)).toEqual([said]);
});
