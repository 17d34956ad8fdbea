/**
 * Negative controls: no bugs, but conditions that the promises exclude. Under each of them loss must be seen, or the
 * harness is blind; and the very same faults without it lose nothing.
 */
import { expect, test } from "vitest";
import { CALM, type Plan } from "./checkers/checks.ts";
import type { Mode } from "./cluster.ts";
import { simulate } from "./programs.ts";
import type { Action, Kind, Scenario } from "./scenario.ts";

const LIMIT_MS = 5 * 60_000;
const SEEDS = 3;

const action = (at: number, kind: Kind, node: number, ms: number, amount = 0): Action => ({
  at,
  kind,
  node,
  other: 1,
  ms,
  amount,
});

/** The primary is cut off for longer than its lease, and clients reach it: it confirms alone what nobody has. */
const CUT = [action(4600, "cut_primary", 1, 8000)];
/** The power of all fails at once, and again while they vote (F27). */
const DARK = [3800, 5700, 7600, 9500].map((at) => action(at, "kill_all", 1, 300));

function scenario(actions: readonly Action[], mode: Mode, plan: Partial<Plan>): Scenario {
  return {
    seed: 1,
    shape: { nodes: 3, mode },
    plan: { ...CALM, ...plan },
    actions,
    healAt: 14_000,
    duplicates: 0,
    clockRates: [1, 1, 1],
    writeEveryMs: 15,
  };
}

/** Invariants that were violated in some of the seeds. */
async function broken(
  actions: readonly Action[],
  { mode = "quorum", ...plan }: Partial<Plan> & { readonly mode?: Mode } = {},
): Promise<string[]> {
  const text = JSON.stringify(scenario(actions, mode, plan));
  const { summary } = await simulate(["--seeds", String(SEEDS), "--no-shrink", "--scenario", text]);
  expect(summary.acknowledged).toBeGreaterThan(SEEDS * 20);
  expect(summary.faults).toBe(SEEDS * actions.length);
  return [...new Set(summary.failed.flatMap(({ invariants }) => invariants))];
}

test("without any of it the same faults lose nothing", { timeout: LIMIT_MS }, async () => {
  expect(await broken(CUT)).toEqual([]);
  expect(await broken(DARK)).toEqual([]);
});

test("N1: nobody confirms a commit (k = 0), and the primary is cut off", {
  timeout: LIMIT_MS,
}, async () => {
  const seen = await broken(CUT, { mode: "async" });
  expect(seen).toContain("D1");
  // What Raft holds is confirmed by a majority in any mode.
  expect(seen).not.toContain("R6");
});

/** R8 says that terms go back, and with them the votes given in them: R2 follows where one is asked again. */
test("N2: fsync is off, and the power fails", { timeout: LIMIT_MS }, async () => {
  expect(await broken(DARK, { fsyncOff: true })).toEqual(
    expect.arrayContaining(["R6", "R8", "D1"]),
  );
});

test("N4: the disk confirms what it forgets at the next crash", { timeout: LIMIT_MS }, async () => {
  expect(await broken(DARK, { lyingDisk: true })).toEqual(expect.arrayContaining(["R6", "D1"]));
});
