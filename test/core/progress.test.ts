/** When an acceptor is sent what it lacks, as tables; and whoever suffices without the own store commits without it. */
import { expect, test } from "vitest";
import {
  committedIndex,
  dueElsewhere,
  dueHere,
  isPressing,
  onAppended,
  othersSuffice,
  type Progress,
} from "../../src/core/progress.ts";

/** Holds everything up to `match` and knows that all up to `commit` is committed. */
const at = (match: number, commit: number): Progress => ({
  match: BigInt(match),
  next: BigInt(match) + 1n,
  commit: BigInt(commit),
});
const log = (lastIndex: number, commit: number, pressing: number) => ({
  lastIndex: BigInt(lastIndex),
  commit: BigInt(commit),
  pressing: BigInt(pressing),
});

test.each([
  ["lacks an entry", at(4, 4), log(5, 4, 1), "now"],
  ["lacks nothing", at(5, 5), log(5, 5, 1), "never"],
  ["holds what is not committed yet", at(5, 4), log(5, 4, 1), "never"],
  ["is not told that a user's entry is committed", at(5, 4), log(5, 5, 4), "soon"],
  ["is not told that a pressing one is", at(5, 4), log(5, 5, 5), "now"],
  ["is not told of a pressing one before a user's", at(5, 3), log(5, 5, 4), "now"],
] as const)("another store that %s", (_, progress, state, due) => {
  expect(dueElsewhere(progress, state)).toBe(due);
});

test.each([
  ["lacks an entry, and is needed", at(4, 4), log(5, 4, 1), false, "now"],
  ["lacks an entry, and is not needed", at(4, 4), log(5, 4, 1), true, "soon"],
  ["lacks a committed entry", at(4, 4), log(5, 5, 1), true, "now"],
  ["lacks a committed entry and one that is not", at(4, 4), log(6, 5, 1), true, "now"],
  ["has applied less than is committed", at(5, 4), log(6, 5, 1), true, "now"],
  ["lacks nothing", at(5, 5), log(5, 5, 1), true, "never"],
] as const)("the own store when it %s", (_, progress, state, spared, due) => {
  expect(dueHere(progress, state, spared)).toBe(due);
});

test.each([
  [[1, 2, 3], { 1: 0, 2: 7, 3: 7 }, true],
  [[1, 2, 3], { 1: 9, 2: 7, 3: 6 }, false],
  [[1, 2, 3], { 1: 9, 2: 7 }, false],
  [[1, 2], { 1: 9, 2: 9 }, false],
  [[1], { 1: 9 }, false],
  [[1, 2, 3, 4, 5], { 1: 0, 2: 7, 3: 8, 4: 7, 5: 0 }, true],
  [[1, 2, 3, 4, 5], { 1: 9, 2: 7, 3: 8, 4: 6, 5: 0 }, false],
  [[2, 3, 4], { 1: 9, 2: 7, 3: 7 }, true],
] as const)("of voters %j that hold %j others suffice: %s", (voters, holds, expected) => {
  const progress = new Map(Object.entries(holds).map(([id, n]) => [Number(id), at(n, 0)]));
  expect(othersSuffice(1, voters, progress, 7n)).toBe(expected);
});

test("whoever suffices without the own store commits without it", () => {
  for (let held = 0; held < 3 ** 4; held += 1) {
    const others = [2, 3, 4, 5].map((id, i) => [id, at(6 + (Math.floor(held / 3 ** i) % 3), 0)]);
    const progress = new Map(others as [number, Progress][]);
    if (!othersSuffice(1, [1, 2, 3, 4, 5], progress, 7n)) continue;
    const after = new Map(
      [...progress].map(([id, p]) => [id, p.match < 7n ? p : onAppended(p, 9n, 7n)]),
    );
    expect(committedIndex([1, 2, 3, 4, 5], after, 1n)).toBe(9n);
  }
});

test("what users put into the log is not pressing, all else is", () => {
  const kinds = [
    "entry",
    "kv_set",
    "kv_compact",
    "kv_reset",
    "open_epoch",
    "noop",
    "voter",
    "unheard-of",
  ];
  expect(kinds.filter(isPressing)).toEqual(["open_epoch", "noop", "voter", "unheard-of"]);
});
