import { expect, test } from "vitest";
import { RULES } from "../../src/coordinator/rules.ts";
import { type Situation, WORDS } from "../../src/coordinator/situation.ts";
import { rowFor } from "../../src/core/rule-table.ts";

/** Every combination of words that the facts can make. */
function* situations(): Generator<Situation> {
  for (const epoch of WORDS.epoch)
    for (const founder of only(epoch === "none", WORDS.founder, "not_yet"))
      for (const choice of only(epoch === "opened", WORDS.choice, "none"))
        for (const promotion of WORDS.promotion)
          for (const health of WORDS.health)
            for (const brake of WORDS.brake)
              for (const handover of only(epoch === "serving", WORDS.handover, "none"))
                for (const request of WORDS.request)
                  for (const chore of only(
                    epoch === "serving" || epoch === "promoted",
                    WORDS.chore,
                    "none",
                  ))
                    yield {
                      epoch,
                      founder,
                      choice,
                      promotion,
                      health,
                      brake,
                      handover,
                      request,
                      chore,
                    };
}

function only<T>(when: boolean, words: readonly T[], otherwise: T): readonly T[] {
  return when ? words : [otherwise];
}

test("every situation meets a rule, and every rule a situation", () => {
  const met = new Set<number>();
  for (const situation of situations()) met.add(rowFor(RULES, situation).pos);
  expect(RULES.filter((row) => !met.has(row.pos))).toEqual([]);
});

test("rows are in order, forty-five at most", () => {
  const positions = RULES.map((row) => row.pos);
  expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b));
  expect(RULES.length).toBeLessThanOrEqual(45);
});

test("nobody is appointed without the reports that allow a choice", () => {
  for (const situation of situations()) {
    if (rowFor(RULES, situation).act !== "appoint") continue;
    expect(situation.choice).toBe("ready");
    expect(situation.epoch).toBe("opened");
  }
});

test("an epoch is opened on nobody's request only when the primary is lost and nothing holds it back", () => {
  for (const situation of situations()) {
    if (rowFor(RULES, situation).act !== "open_epoch") continue;
    expect(situation.health).toBe("lost");
    expect(situation.epoch).toBe("serving");
    if (situation.handover === "none") expect(situation.brake).toBe("none");
  }
});

test("a primary that is spared or suspected is never failed over by itself", () => {
  const opening = ["open_epoch", "give_up"];
  for (const situation of situations()) {
    if (situation.health !== "spared" && situation.health !== "suspected") continue;
    if (situation.promotion === "late") continue; // a promotion over its limit is another matter
    expect(opening).not.toContain(rowFor(RULES, situation).act);
  }
});

test("founding needs an empty log", () => {
  for (const situation of situations()) {
    if (rowFor(RULES, situation).act === "found") expect(situation.epoch).toBe("none");
  }
});
