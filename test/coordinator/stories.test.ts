import { test } from "vitest";
import { replay } from "../support/datadriven.ts";
import { createStory } from "./story.ts";

for (const [title, file] of [
  ["what the facts say of the primary", "classify"],
  ["who is chosen, and for whom the choice waits", "candidates"],
  ["a cluster is founded and forms", "founding"],
  ["a dead primary is replaced", "failover"],
  ["crashes around a promotion", "promotion"],
  ["planned switchovers", "switchover"],
  ["requests of operators", "requests"],
  ["what holds a failover back", "brakes"],
  ["the commit rule follows who is there", "rule"],
] as const) {
  test(title, async () => {
    await replay(`test/coordinator/testdata/${file}.txt`, createStory());
  });
}
