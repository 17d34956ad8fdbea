/**
 * A leader whose own store takes no entry any more, though it answers and beats (F22, H66), can decide nothing. Its
 * server dies as well: who leads by then replaces the primary, without that node.
 */
import { expect, test } from "vitest";
import { CALM } from "./checkers/checks.ts";
import { simulate } from "./programs.ts";
import type { Action, Kind, Scenario } from "./scenario.ts";

const act = (at: number, kind: Kind): Action => ({
  ...{ at, kind, node: 0, ms: 0 },
  ...{ other: 1, amount: 0.5 },
});

const scenario: Scenario = {
  ...{ seed: 1, shape: { nodes: 3, mode: "quorum" }, plan: CALM, healAt: 16_000 },
  ...{ duplicates: 0, clockRates: [1, 1, 1], writeEveryMs: 30 },
  actions: [act(4000, "full_leader"), act(12_000, "kill_server")],
};

test("another leads, and nothing waits for the store that is full", {
  timeout: 60_000,
}, async () => {
  const args = ["--seed", "1", "--scenario", JSON.stringify(scenario), "--trace"];
  const { summary, output } = await simulate(args);
  expect(summary).toMatchObject({ faults: 2, primaryFaults: 1, promotions: 2 });
  expect(summary.failed, output.slice(-6000)).toEqual([]);
  // It answers, if only with errors: nobody takes it for silent while it leads.
  const lost = /^ *[4-7]\d{3}\.\d+ n\d info raft\.peer_lost.*$/gm;
  expect(output.match(lost) ?? []).toEqual([]);
});
