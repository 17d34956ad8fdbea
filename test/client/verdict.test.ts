import { describe, expect, test } from "vitest";
import {
  delayBefore,
  type Fault,
  isSignOfLoss,
  type Verdict,
  verdictOn,
  type Work,
} from "../../src/client/verdict.ts";

const lost = (phase: Fault["phase"], more: Partial<Fault> = {}): Fault => ({
  phase,
  lost: true,
  ...more,
});
const said = (sqlstate: string, phase: Fault["phase"] = "first", more: Partial<Fault> = {}) => ({
  phase,
  lost: false,
  sqlstate,
  ...more,
});

/** What happened, and the verdict on a read, a single write, a transaction. */
const TABLE: readonly [string, Fault, Verdict, Verdict, Verdict][] = [
  ["nothing was sent yet", lost("before"), "again", "again", "again"],
  ["nor will be", lost("before", { stopped: true }), "stopped", "stopped", "stopped"],
  ["lost with the first statement under way", lost("first"), "again", "in_doubt", "again"],
  ["lost later, before COMMIT", lost("later"), "again", "in_doubt", "again"],
  ["lost after COMMIT was sent", lost("commit"), "again", "in_doubt", "in_doubt"],
  ["ended by an administrator", lost("first", { sqlstate: "57P01" }), "again", "in_doubt", "again"],
  ["lost while we cancelled", lost("first", { stopped: true }), "stopped", "in_doubt", "stopped"],
  [
    "COMMIT lost as we gave up",
    lost("commit", { stopped: true }),
    "stopped",
    "in_doubt",
    "in_doubt",
  ],
  ["read-only, at first", said("25006"), "tell", "again", "again"],
  ["read-only, later", said("25006", "later"), "tell", "tell", "tell"],
  ["starting up", said("57P03"), "again", "again", "again"],
  ["too many connections", said("53300"), "again", "again", "again"],
  ["serialization failure", said("40001", "later"), "again", "again", "again"],
  ["serialization failure at COMMIT", said("40001", "commit"), "again", "again", "again"],
  ["deadlock", said("40P01", "later"), "again", "again", "again"],
  ["cancelled by us", said("57014", "first", { stopped: true }), "stopped", "stopped", "stopped"],
  ["cancelled by somebody else", said("57014"), "tell", "tell", "tell"],
  ["a duplicate key", said("23505"), "tell", "tell", "tell"],
  ["no such table", said("42P01"), "tell", "tell", "tell"],
];

describe("what follows from a failure", () => {
  test.each(TABLE)("%s", (_, fault, ...verdicts) => {
    const works: readonly Work[] = ["read", "write", "transaction"];
    expect(works.map((work) => verdictOn(fault, work))).toEqual(verdicts);
  });

  test("a success without its standbys is doubt, whatever it was", () => {
    const fault: Fault = { phase: "commit", lost: false, waitCancelled: true };
    expect(verdictOn(fault, "write")).toBe("in_doubt");
    expect(verdictOn(fault, "transaction")).toBe("in_doubt");
  });

  test("no write whose answer is missing is ever tried again: all faults that lost the connection", () => {
    for (const phase of ["first", "later", "commit"] as const) {
      for (const stopped of [true, false]) {
        for (const sqlstate of [undefined, "57P01", "57P02", "40001", "25006"]) {
          expect(verdictOn({ phase, lost: true, stopped, sqlstate }, "write")).toBe("in_doubt");
        }
      }
    }
  });
});

test("signs that a whole server is going: a closed socket, a shutdown, no longer writable", () => {
  expect(["57P01", "57P02", "57P03", "25006"].map((code) => isSignOfLoss(said(code)))).toEqual(
    Array(4).fill(true),
  );
  expect(isSignOfLoss(lost("first"))).toBe(true);
  expect(isSignOfLoss(said("23505"))).toBe(false);
  expect(isSignOfLoss({ ...said("25006"), readOnly: true })).toBe(false);
});

test("pauses double up to their bound, with full jitter", () => {
  const backoff = { maxAttempts: 9, baseDelayMs: 50, maxDelayMs: 1000 };
  const bounds = [1, 2, 3, 4, 5, 6, 7].map((attempt) => delayBefore(attempt, backoff, 1));
  expect(bounds).toEqual([50, 100, 200, 400, 800, 1000, 1000]);
  expect(delayBefore(4, backoff, 0)).toBe(0);
});
