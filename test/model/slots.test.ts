/** A slot that was not proved to hold every change is dropped at a promotion, never served (H45): every small run. */
import { expect, test } from "vitest";
import { type Explored, explore } from "./explore.ts";
import { changeMissing, INITIAL, keyOf, marksOf, stepsOf, type Wrong } from "./slots.ts";

const LIMIT_MS = 120_000;
const BOUNDS = { writes: 4, receivers: 3 };

function tryAll(wrong: Wrong = {}): Explored {
  return explore({
    initial: INITIAL,
    next: stepsOf(BOUNDS, wrong),
    key: keyOf,
    broken: changeMissing,
    marks: marksOf,
  });
}

test("a slot that is served has every change, and one that has not is dropped", {
  timeout: LIMIT_MS,
}, () => {
  const { counterexample, marks } = tryAll();
  expect(counterexample).toBeUndefined();
  expect([...marks].sort()).toEqual(["dropped", "its rows are gone", "none", "served"]);
});

test.each<[string, Wrong, RegExp]>([
  ["what is not proved is served", { nothingDropped: true }, /gone|begins/],
  ["the primary's slots are asked for first", { slotsFirst: true }, /gone/],
  ["another receiver passes for the one that was proved", { anyReceiver: true }, /gone/],
  ["nobody asks what the primary keeps", { keptUnasked: true }, /gone/],
  ["nobody asks what the primary's slot let go of", { theirsUnasked: true }, /gone/],
  ["nobody asks whether the copy is ahead", { aheadUnasked: true }, /begins/],
])("when %s a change is missing", { timeout: LIMIT_MS }, (_, wrong, missing) => {
  expect(tryAll(wrong).counterexample?.broken).toMatch(missing);
});
