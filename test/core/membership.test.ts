/** Who may be given a vote: one whose worker runs. */
import { expect, test } from "vitest";
import { isAtWork } from "../../src/core/membership.ts";

const member = { firstBeat: 0n, beat: 0n };

test("a store alone is no member at work; its worker's word is", () => {
  expect(isAtWork(member)).toBe(false);
  expect(isAtWork({ ...member, beat: 1n })).toBe(true);
});

test("a word that was there before this leader looked may be from a worker that has ended", () => {
  expect(isAtWork({ ...member, firstBeat: 7n, beat: 7n })).toBe(false);
  expect(isAtWork({ ...member, firstBeat: 7n, beat: 8n })).toBe(true);
});
