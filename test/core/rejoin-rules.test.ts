/** The table of ways back is total, ordered, and never rewinds on a doubt. */
import { expect, test } from "vitest";
import {
  CHAINS,
  chooseWay,
  PAGES,
  PROGRAMS,
  REJOIN_RULES,
  type RejoinFacts,
  TRIALS,
} from "../../src/core/rejoin-rules.ts";

const everything: RejoinFacts[] = CHAINS.flatMap((chain) =>
  PROGRAMS.flatMap((program) =>
    PAGES.flatMap((pages) => TRIALS.map((trial) => ({ chain, program, pages, trial }))),
  ),
);

test("every set of facts meets a rule, and every rule some facts", () => {
  const met = new Set(everything.map((facts) => chooseWay(facts).pos));
  expect(REJOIN_RULES.filter(({ pos }) => !met.has(pos))).toEqual([]);
  const positions = REJOIN_RULES.map(({ pos }) => pos);
  expect(positions).toEqual(positions.toSorted((a, b) => a - b));
});

test("pg_rewind runs only when all of it is proved", () => {
  const rewound = everything.filter((facts) => chooseWay(facts).way === "rewind");
  expect(rewound).toEqual([
    { chain: "forked", program: "there", pages: "protected", trial: "agrees" },
  ]);
});

test("the same history is never touched, and one that is in doubt always copied", () => {
  for (const facts of everything) {
    if (facts.chain === "same") expect(chooseWay(facts).way).toBe("follow");
    if (facts.chain === "unproved") expect(chooseWay(facts).way).toBe("copy");
  }
});
