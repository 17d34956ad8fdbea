import { expect, test } from "vitest";
import type { Rule } from "../../src/coordinator/facts.ts";
import { lackingReports, nextRule } from "../../src/coordinator/sync-rule.ts";

function subsetsOf(ids: readonly number[]): number[][] {
  return Array.from({ length: 2 ** ids.length }, (_, mask) =>
    ids.filter((_, i) => (mask >> i) & 1),
  );
}

/** Everyone who may hold an acknowledged commit: the primary and k others of the cohort. */
function commitSets({ k, cohort }: Rule): number[][] {
  return subsetsOf(cohort).filter((set) => set.length === k + 1);
}

/** Each set of reporters that lets a promotion go ahead while these rules bind. */
function reportSets(rules: readonly Rule[]): number[][] {
  const ids = [...new Set(rules.flatMap((rule) => rule.cohort))];
  return subsetsOf(ids).filter((s) => lackingReports(rules, new Set(s), "quorum").length === 0);
}

function expectSafe(binding: readonly Rule[], applied: readonly Rule[]): void {
  const commits = applied.flatMap(commitSets);
  for (const reports of reportSets(binding)) {
    for (const commit of commits) {
      const meet = reports.some((id) => commit.includes(id));
      if (!meet) throw new Error(`${JSON.stringify({ binding, applied, reports, commit })}`);
    }
  }
}

/** Every rule of cohorts within five members; the primary, member 1, is in each. */
const RULES: readonly Rule[] = subsetsOf([2, 3, 4, 5])
  .map((others) => [1, ...others])
  .flatMap((cohort) => cohort.map((_, k) => ({ k, cohort })));

/** The way from one rule to another, each step as the next leader would find it. */
function walk(from: Rule, to: Rule): Rule[] {
  const path = [from];
  for (;;) {
    const next = nextRule(path.at(-1) as Rule, to);
    if (next === undefined) return path;
    path.push(next);
    if (path.length > 20) throw new Error(`no end: ${JSON.stringify({ from, to })}`);
  }
}

test("at every step of every change any commit set meets any report set, for n up to 5", () => {
  for (const from of RULES) {
    for (const to of RULES) {
      const path = walk(from, to);
      path.forEach((rule, i) => {
        expectSafe([rule], [rule]);
        const next = path[i + 1];
        // Half made: both reports are asked for, and a walsender may apply either rule.
        if (next !== undefined) expectSafe([rule, next], [rule, next]);
      });
    }
  }
});

test("every change ends at the wanted rule, one member and one confirmation at a time", () => {
  for (const from of RULES) {
    for (const to of RULES) {
      const path = walk(from, to);
      expect(path.at(-1)).toEqual(to);
      path.slice(1).forEach((rule, i) => {
        const before = path[i] as Rule;
        const moved = [
          ...rule.cohort.filter((id) => !before.cohort.includes(id)),
          ...before.cohort.filter((id) => !rule.cohort.includes(id)),
        ];
        expect(moved.length).toBeLessThanOrEqual(1);
        expect(Math.abs(rule.k - before.k)).toBeLessThanOrEqual(1);
      });
    }
  }
});

test("a change that is interrupted anywhere goes on from where it stands, or back", () => {
  for (const from of RULES.filter((rule) => rule.cohort.length >= 4)) {
    for (const to of RULES.filter((rule) => rule.cohort.length >= 4)) {
      for (const between of walk(from, to)) {
        expect(walk(between, to).at(-1)).toEqual(to);
        expect(walk(between, from).at(-1)).toEqual(from);
      }
    }
  }
});

test("a cluster of three forms by admitting one standby after the other", () => {
  const path = walk({ k: 0, cohort: [1] }, { k: 1, cohort: [1, 2, 3] });
  expect(path.map(({ k, cohort }) => `${k} of ${cohort.join(",")}`)).toEqual([
    "0 of 1",
    "1 of 1,2",
    "1 of 1,2,3",
  ]);
});

test("the checker itself fails when a member of the old rule is forgotten too early", () => {
  const old = { k: 0, cohort: [1, 2, 3] };
  const next = { k: 1, cohort: [1, 2, 3] };
  expect(() => expectSafe([next], [old, next])).toThrow();
});
