/** Every run of the small models, and for each rule taken away the run that shows what it was for. */
import { describe, expect, test } from "vitest";
import * as election from "./election.ts";
import { type Explored, explore } from "./explore.ts";
import * as failover from "./failover.ts";
import { keyOf } from "./failover-key.ts";
import { stepsOf } from "./failover-steps.ts";

const LIMIT_MS = 300_000;

function tryFailover(
  bounds: failover.Bounds,
  wrong: failover.Wrong = {},
  broken = (state: failover.State) => failover.timelineTwice(state) ?? failover.writeLost(state),
): Explored {
  return explore({
    initial: failover.initialState(bounds),
    next: stepsOf(bounds, wrong),
    key: keyOf,
    broken,
    marks: failover.marksOf,
  });
}

function tryElection(limits: election.Limits, mistake: election.Mistake = {}): Explored {
  return explore({
    initial: election.initialCluster(limits),
    next: election.stepsOf(limits, mistake),
    key: election.keyOf,
    broken: election.broken,
    marks: election.marksOf,
  });
}

const THREE = { nodes: 3, k: 1, epochs: 2, writes: 1, crashes: 1, restarts: 1 };
const SHORT = { ...THREE, epochs: 1, crashes: 0, restarts: 0 };
const CALM = { ...THREE, crashes: 0, restarts: 0 };
const FIVE = { nodes: 5, epochs: 1, writes: 1, crashes: 0, restarts: 0 };

describe("the failover keeps what was acknowledged", () => {
  test.each<[string, failover.Bounds, string[]]>([
    [
      "3 nodes, two failovers, a crash and a return",
      THREE,
      ["failover after ack", "copy under way"],
    ],
    [
      "3 nodes, two writes, one failover",
      { ...SHORT, writes: 2, crashes: 1 },
      ["stale writable leader"],
    ],
    ["5 nodes, k = 2", { ...FIVE, k: 2 }, ["stale writable leader"]],
    ["5 nodes, k = 1: four reports", { ...FIVE, k: 1 }, ["failover after ack"]],
    ["the rule weakens meanwhile", { ...SHORT, towards: 0 }, ["half-made rule"]],
    ["the rule grows stronger meanwhile", { ...SHORT, k: 0, towards: 1 }, ["half-made rule"]],
  ])("%s", { timeout: LIMIT_MS }, (_, bounds, marks) => {
    const { counterexample, marks: reached } = tryFailover(bounds);
    expect(counterexample).toBeUndefined();
    expect([...reached]).toEqual(expect.arrayContaining(marks));
  });
});

describe("a failover without", () => {
  test.each<[string, failover.Bounds, failover.Wrong, RegExp]>([
    ["revocation: a report while WAL still comes in (H01)", CALM, { keepReceiving: true }, /^D1/],
    ["the last confirmation", CALM, { oneAckLess: true }, /^D1/],
    ["timelines given out by Raft (H02, M22)", CALM, { timelinesByChance: true }, /^D3/],
    ["n - k reports (H10, M19)", { ...FIVE, k: 1 }, { majorityOfReports: true }, /^D1/],
    ["the stamps in the WAL (H23)", CALM, { stampsUnread: true }, /^D1/],
    [
      "more reports before fewer confirmations (H18, M27)",
      { ...SHORT, towards: 0 },
      { loosenedFirst: true },
      /^D1/,
    ],
    [
      "proof that the new rule is in force (H17)",
      { ...SHORT, k: 0, towards: 1 },
      { letGoFirst: true },
      /^D1/,
    ],
  ])("%s loses a write", { timeout: LIMIT_MS }, (_, bounds, wrong, broken) => {
    expect(tryFailover(bounds, wrong).counterexample?.broken).toMatch(broken);
  });

  test("timelines given out by Raft: two histories under one number, and a standby confirms what it lacks (H02)", {
    timeout: LIMIT_MS,
  }, () => {
    const found = tryFailover(CALM, { timelinesByChance: true }, failover.writeLost);
    expect(found.counterexample?.broken).toMatch(/^D9|^D1/);
  });
});

describe("an election", () => {
  const three = { nodes: 3, terms: 3, entries: 3, crashes: 2 };
  const five = { nodes: 5, terms: 2, entries: 2, crashes: 1 };

  test.each([three, five])(
    "of $nodes keeps what is committed, one leader a term",
    (limits) => {
      const { counterexample, marks } = tryElection(limits);
      expect(counterexample).toBeUndefined();
      expect([...marks].sort()).toEqual(["failover after ack", "stale writable leader"]);
    },
    LIMIT_MS,
  );

  test.each([three, five])(
    "of $nodes by one vote less has two leaders, or loses an entry",
    (limits) => {
      expect(tryElection(limits, { oneVoteLess: true }).counterexample).toBeDefined();
    },
    LIMIT_MS,
  );

  test.each([three, five])(
    "of $nodes whose old leader is not fenced loses an entry",
    (limits) => {
      expect(tryElection(limits, { noFencing: true }).counterexample?.broken).toMatch(/^R4/);
    },
    LIMIT_MS,
  );
});
