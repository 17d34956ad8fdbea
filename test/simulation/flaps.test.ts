/**
 * A hold-down (H47) outlives every worker that knew of it. Silence costs node 2 the role, an operator gives it back,
 * all workers are killed and start again, and node 2 is out of reach once more, for less than its lease: it stays.
 */
import { expect, test } from "vitest";
import { CALM } from "./checkers/checks.ts";
import { simulate } from "./programs.ts";
import type { Action, Kind, Scenario } from "./scenario.ts";

const act = (at: number, kind: Kind, node: number, ms = 0): Action => ({
  ...{ at, kind, node, ms },
  ...{ other: 1 + (node % 3), amount: 0.5 },
});

const killed = [1, 2, 3].map((node) => act(12_000, "kill_worker", node));

function scenario(actions: readonly Action[]): Scenario {
  return {
    ...{ seed: 1, shape: { nodes: 3, mode: "quorum" }, plan: CALM, actions },
    ...{ healAt: 18_000, duplicates: 0, clockRates: [1, 1, 1], writeEveryMs: 30 },
  };
}

async function promotions(...actions: readonly Action[]): Promise<number> {
  const args = ["--seed", "1", "--scenario", JSON.stringify(scenario(actions))];
  const { summary, output } = await simulate(args);
  expect(summary.failed, output.slice(-6000)).toEqual([]);
  return summary.promotions;
}

test("a worker that was killed has not forgotten who is held down", {
  timeout: 60_000,
}, async () => {
  const again = act(15_000, "cut_primary", 2, 1700);
  const given = [act(4000, "cut_primary", 2, 2500), act(9000, "switchover", 2), ...killed];
  const without = await promotions(...given);
  expect(await promotions(...given, again)).toBe(without);
  // Where nobody is held down the same silence costs the role.
  const calm = await promotions(...killed);
  expect(await promotions(...killed, again)).toBe(calm + 1);
});
