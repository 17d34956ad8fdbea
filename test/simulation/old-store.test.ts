/**
 * A standby's control store is put back to what it was a second ago, before the mark of its life could tell (F33): its
 * leader, which knows what it acknowledged, says so, and sends it all again. Nobody waits for it.
 */
import { expect, test } from "vitest";
import { CALM } from "./checkers/checks.ts";
import { simulate } from "./programs.ts";
import type { Scenario } from "./scenario.ts";

const scenario: Scenario = {
  ...{ seed: 1, shape: { nodes: 3, mode: "quorum" }, plan: CALM, healAt: 16_000 },
  ...{ duplicates: 0, clockRates: [1, 1, 1], writeEveryMs: 30 },
  actions: [{ at: 6000, kind: "old_store", node: 3, other: 1, ms: 1000, amount: 0.5 }],
};

test("its leader notices, and it holds everything again", { timeout: 60_000 }, async () => {
  const args = ["--seed", "1", "--scenario", JSON.stringify(scenario), "--trace"];
  const { summary, output } = await simulate(args);
  expect(output).toMatch(/n3 .*its control store is what it was 1000 ms ago/);
  const told = /error raft\.alarm.*node 3 holds entry (\d+) no more/.exec(output);
  expect(told).not.toBeNull();
  expect(output.slice(told?.index)).toContain(`n3 applies ${told?.[1]} `);
  // That it went back is what was done to it, and all that is wrong.
  expect(summary.failed).toMatchObject([{ invariants: ["R8"] }]);
});
