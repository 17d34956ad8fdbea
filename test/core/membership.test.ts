/** Who may be given a vote: one whose worker runs. */
import { expect, test } from "vitest";
import { isAtWork } from "../../src/core/membership.ts";

const member = { witness: false, firstBeat: 0n, beat: 0n, answeredMs: 60_000 };

test("a store alone is no member at work, however long it answers; its worker's word is", () => {
  expect(isAtWork(member)).toBe(false);
  expect(isAtWork({ ...member, beat: 1n, answeredMs: 0 })).toBe(true);
});

test("a word that was there before this leader looked may be from a worker that has ended", () => {
  expect(isAtWork({ ...member, firstBeat: 7n, beat: 7n })).toBe(false);
  expect(isAtWork({ ...member, firstBeat: 7n, beat: 8n })).toBe(true);
});

test("a witness says nothing of a data server: its store answers for a second", () => {
  const witness = { ...member, witness: true };
  expect(isAtWork({ ...witness, answeredMs: 999 })).toBe(false);
  expect(isAtWork({ ...witness, answeredMs: 1000 })).toBe(true);
});
