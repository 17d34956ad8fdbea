/** From whom a node copies: a standby that is proved to hold as much as the primary, and nobody else in its stead. */
import { expect, test } from "vitest";
import {
  ANSWERS,
  type Candidate,
  chooseSource,
  fallsShort,
  REPLAYS,
  SLOTS,
  SOURCE_RULES,
  type SourceFacts,
  STAMPS,
  STREAMS,
} from "../../src/core/copy-source.ts";
import { rowFor } from "../../src/core/rule-table.ts";

const everything: SourceFacts[] = SLOTS.flatMap((slot) =>
  ANSWERS.flatMap((answer) =>
    STREAMS.flatMap((stream) =>
      STAMPS.flatMap((stamps) =>
        REPLAYS.map((replay) => ({ slot, answer, stream, stamps, replay })),
      ),
    ),
  ),
);
const PROVED: SourceFacts = {
  slot: "covers",
  answer: "standby",
  stream: "on_epoch",
  stamps: "same",
  replay: "past",
};
const one = (id: number, replayed: bigint, facts: Partial<SourceFacts> = {}): Candidate => ({
  id,
  replayed,
  facts: { ...PROVED, ...facts },
});

test("every set of facts meets a rule, and every rule some facts", () => {
  const met = new Set(everything.map((facts) => rowFor(SOURCE_RULES, facts).pos));
  expect(SOURCE_RULES.filter(({ pos }) => !met.has(pos))).toEqual([]);
  const positions = SOURCE_RULES.map(({ pos }) => pos);
  expect(positions).toEqual(positions.toSorted((a, b) => a - b));
});

test("a standby is copied only when all of it is proved, and waited for only while it replays", () => {
  const used = (use: string) =>
    everything.filter((facts) => rowFor(SOURCE_RULES, facts).use === use);
  expect(used("copy")).toEqual([PROVED]);
  expect(used("wait")).toEqual([{ ...PROVED, replay: "short" }]);
});

test("of several the one that holds most is copied, and of equals the lower number", () => {
  expect(chooseSource([one(2, 10n), one(3, 20n), one(4, 20n)])).toEqual({ use: "copy", id: 3 });
  expect(chooseSource([one(4, 20n), one(3, 20n)])).toEqual({ use: "copy", id: 3 });
  const broken = one(3, 99n, { stamps: "differ" });
  expect(chooseSource([broken, one(2, 10n)])).toEqual({ use: "copy", id: 2 });
});

test("one that is only late is waited for; the others say why they are not copied", () => {
  const late = one(3, 5n, { replay: "short" });
  expect(chooseSource([late, one(2, 0n, { answer: "none" })])).toMatchObject({ use: "wait" });
  expect(chooseSource([late, one(2, 10n)])).toEqual({ use: "copy", id: 2 });
  expect(
    chooseSource([one(2, 0n, { answer: "none" }), one(3, 0n, { stream: "elsewhere" })]),
  ).toEqual({
    use: "never",
    why: "node 2: it does not answer; node 3: it does not stream on the epoch's timeline",
  });
});

test("a copy that lacks what this node may have confirmed takes the place of nothing (D1)", () => {
  const needed = { end: 0x100n, timeline: 3 };
  expect(fallsShort({ endLsn: 0x100n, endTimeline: 3 }, needed)).toBeUndefined();
  expect(fallsShort({ endLsn: 0xffn, endTimeline: 3 }, needed)).toBe(
    "the copy ends at 0/FF, short of 0/100, which may be confirmed",
  );
  expect(fallsShort({ endLsn: 0x200n, endTimeline: 2 }, needed)).toBe(
    "the copy ends on timeline 2, not on the epoch's 3",
  );
});
