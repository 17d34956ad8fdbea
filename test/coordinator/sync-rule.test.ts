import { expect, test } from "vitest";
import type { Rule } from "../../src/coordinator/facts.ts";
import {
  bindingRules,
  type Company,
  lackingReports,
  leavesOut,
  type Mode,
  nextRule,
  type RuleStep,
  stepRule,
  wantedRule,
} from "../../src/coordinator/sync-rule.ts";
import type { NodeId } from "../../src/core/ids.ts";

/** Committed state of the rule, as far as the plan reads it. */
interface State {
  readonly rule: Rule & { readonly version: bigint };
  readonly next_rule: Rule | null;
}

function subsetsOf<T>(all: readonly T[]): T[][] {
  return Array.from({ length: 2 ** all.length }, (_, mask) =>
    all.filter((_, i) => (mask >> i) & 1),
  );
}

const others = (n: number) => Array.from({ length: n - 1 }, (_, i) => i + 2);

/** Every rule of cohorts within n members; the primary, member 1, is in each. */
function rulesOf(n: number): Rule[] {
  return subsetsOf(others(n))
    .map((rest) => [1, ...rest])
    .flatMap((cohort) => cohort.map((_, k) => ({ k, cohort })));
}

/** Members 2 to n: who streams, who is away for a moment, who for long. */
function company(n: number, here: readonly number[], gone: readonly number[] = []): Company {
  const away = others(n).filter((id) => !here.includes(id));
  return {
    primary: 1,
    eligible: [1, ...others(n)],
    streaming: new Set(here),
    away: new Set(away),
    gone: new Set(gone.filter((id) => away.includes(id))),
  };
}

const overlap = (a: readonly number[], b: readonly number[]) =>
  a.filter((id) => b.includes(id)).length;

/**
 * Can a set of reports that suffices under `binding` miss a set that acknowledged under `applied`? The worst case: as
 * many reporters as possible from outside the commit set. Counting does what listing all sets would.
 */
function missed(
  binding: readonly Rule[],
  applied: Rule,
  mode: Mode,
  primary = 1,
): number[] | undefined {
  const all = [...new Set([...binding, applied].flatMap((rule) => rule.cohort))];
  for (const confirmers of subsetsOf(applied.cohort.filter((id) => id !== primary))) {
    if (confirmers.length !== applied.k) continue;
    const holders = [primary, ...confirmers];
    const reporters = new Set(all.filter((id) => !holders.includes(id)));
    if (lackingReports(binding, reporters, mode).length === 0) return [...reporters];
  }
  return undefined;
}

/** D8: no rule that any walsender may still apply can acknowledge what a promotion would not see. */
function expectSafe(state: State, applied: readonly Rule[], mode: Mode): void {
  for (const rule of applied) {
    // Where nobody confirms, `async` promises nothing.
    if (mode === "async" && bindingRules(state).some(({ k }) => k === 0)) continue;
    const reports = missed(bindingRules(state), rule, mode);
    if (reports !== undefined)
      throw new Error(JSON.stringify({ mode, ...print(state), rule, reports }));
  }
}

function print({ rule, next_rule }: State) {
  return { now: [rule.k, rule.cohort], next: next_rule && [next_rule.k, next_rule.cohort] };
}

/** Do as the log does. */
function apply(state: State, step: RuleStep): State {
  const { rule, next_rule: next } = state;
  if (step.step === "next") return { rule, next_rule: step.rule };
  if (next === null) throw new Error(`${step.step} without a change under way`);
  if (step.step === "back") {
    return {
      rule: { ...next, version: rule.version },
      next_rule: { k: rule.k, cohort: rule.cohort },
    };
  }
  return { rule: { ...next, version: rule.version }, next_rule: null };
}

const keyOf = ({ rule, next_rule: next }: State) =>
  `${rule.k}:${rule.cohort}|${next === null ? "" : `${next.k}:${next.cohort}`}`;

const at = (rule: Rule, next: Rule | null = null): State => ({
  rule: { ...rule, version: 0n },
  next_rule: next,
});

const provable = (rule: Rule, { streaming }: Company) =>
  overlap(rule.cohort, [...streaming]) >= rule.k;

const MODES = ["quorum", "available", "async"] as const;

/** From every state that can arise, in every company: the plan comes to rest, and D8 holds at each step on the way. */
function checkFrom(start: State, mode: Mode, who: Company): State {
  let state = start;
  // Before it is proved, a walsender may apply any rule that was ever ordered since the last proof.
  let applied: Rule[] = [...bindingRules(state)];
  for (let steps = 0; steps < 40; steps += 1) {
    expectSafe(state, applied, mode);
    const step = stepRule(mode, state, who);
    if (step.step === "none") return state;
    if (step.step === "prove") {
      if (state.next_rule === null || !provable(state.next_rule, who)) return state;
      applied = [state.next_rule];
    }
    state = apply(state, step);
    applied = [...applied, ...(state.next_rule === null ? [] : [state.next_rule])];
  }
  throw new Error(
    `no end: ${JSON.stringify({ mode, from: print(start), here: [...who.streaming] })}`,
  );
}

/** Every state that the plan itself can make in any mode and company, from a formed or a new cluster. */
function reachable(n: number): State[] {
  const companies = subsetsOf(others(n)).flatMap((here) => [
    company(n, here),
    company(n, here, others(n)),
  ]);
  const found = new Map<string, State>();
  const open = [at({ k: 0, cohort: [1] })];
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    const key = keyOf(state);
    if (found.has(key)) continue;
    found.set(key, state);
    for (const mode of MODES) {
      for (const who of companies) {
        const step = stepRule(mode, state, who);
        if (step.step === "none") continue;
        if (step.step === "prove" && !(state.next_rule && provable(state.next_rule, who))) continue;
        open.push(apply(state, step));
      }
    }
  }
  return [...found.values()];
}

test.each([1, 2, 3, 4, 5])(
  "from every reachable state of %i members, in every mode and company, D8 holds and the plan comes to rest",
  (n) => {
    const states = reachable(n);
    const companies = subsetsOf(others(n)).flatMap((here) => [
      company(n, here),
      company(n, here, others(n)),
    ]);
    for (const state of states) {
      for (const mode of MODES) {
        for (const who of companies) {
          const rest = checkFrom(state, mode, who);
          if (who.away.size > 0) continue;
          // With everybody there it ends at the one rule the cluster should have.
          const all = [1, ...others(n)];
          const k = mode === "async" ? 0 : Math.floor(n / 2);
          expect({ mode, ...print(rest) }).toEqual({ mode, now: [k, all], next: null });
        }
      }
    }
    expect(states.length).toBeGreaterThan(n === 1 ? 0 : 2 * n - 2);
  },
);

/** Any primary, whoever of the members may count, and whoever of them is there. */
function companies(n: number, primary: NodeId): Company[] {
  const rest = [1, ...others(n)].filter((id) => id !== primary);
  return subsetsOf(rest).flatMap((eligible) =>
    subsetsOf(rest).map((here) => {
      const away = new Set(eligible.filter((id) => !here.includes(id)));
      const streaming = new Set(here);
      return { primary, eligible: [primary, ...eligible].sort(), streaming, away, gone: away };
    }),
  );
}

test.each([2, 3, 4])(
  "of %i members whoever is appointed, and whoever may count no longer: D8 holds, and nothing goes round in circles",
  (n) => {
    const found = new Map<string, State>();
    const open = [at({ k: 0, cohort: [1] })];
    for (let state = open.pop(); state !== undefined; state = open.pop()) {
      if (found.has(keyOf(state))) continue;
      found.set(keyOf(state), state);
      // Only who counts under a binding rule is chosen.
      for (const primary of new Set(bindingRules(state).flatMap(({ cohort }) => cohort))) {
        if (leavesOut(state, primary)) {
          open.push(apply(state, { step: "back" }));
          continue;
        }
        const listed = state.next_rule ?? state.rule;
        expect({
          primary,
          ...print(state),
          missed: missed(bindingRules(state), listed, "quorum", primary),
        }).toEqual({ primary, ...print(state), missed: undefined });
        for (const who of companies(n, primary)) {
          const step = stepRule("quorum", state, who);
          if (step.step === "none") continue;
          if (step.step === "prove" && !(state.next_rule && provable(state.next_rule, who)))
            continue;
          const after = apply(state, step);
          open.push(after);
          const again = stepRule("quorum", after, who);
          expect(step.step === "next" && again.step === "back").toBe(false);
        }
      }
    }
    expect(found.size).toBeGreaterThan(n);
  },
);

test.each([6, 7])(
  "of %i members every single step from every rule is safe, whoever is there",
  (n) => {
    const companies = subsetsOf(others(n)).map((here) => company(n, here, others(n)));
    const done = new Set<string>();
    for (const rule of rulesOf(n)) {
      for (const mode of MODES) {
        for (const who of companies) {
          const step = stepRule(mode, at(rule), who);
          if (step.step !== "next") continue;
          const state = apply(at(rule), step);
          const key = `${mode === "async"} ${keyOf(state)}`;
          if (done.has(key)) continue;
          done.add(key);
          expectSafe(state, [rule, step.rule], mode);
          expectSafe(at(step.rule), [step.rule], mode);
          expectSafe(apply(state, { step: "back" }), [rule, step.rule], mode);
        }
      }
    }
    expect(done.size).toBeGreaterThan(100);
  },
  60_000,
);

test("a step moves one member and one confirmation at most, and never asks for fewer on the way", () => {
  for (const from of rulesOf(5)) {
    for (const wanted of rulesOf(5)) {
      let now = from;
      for (let i = 0; i < 20; i += 1) {
        const next = nextRule(now, wanted, company(5, others(5)));
        if (next === undefined) break;
        const moved = [...now.cohort, ...next.cohort].filter(
          (id) => !(now.cohort.includes(id) && next.cohort.includes(id)),
        );
        expect(moved.length).toBeLessThanOrEqual(1);
        expect(Math.abs(next.k - now.k)).toBeLessThanOrEqual(1);
        if (wanted.k >= from.k) expect(next.k).toBeGreaterThanOrEqual(from.k);
        expect(next.k).toBeLessThan(next.cohort.length);
        now = next;
      }
      expect(now).toEqual(wanted);
    }
  }
});

test("in quorum mode nobody's absence lowers what a commit needs; who is gone for long only blocks nothing more", () => {
  const five = { k: 2, cohort: [1, 2, 3, 4, 5] };
  expect(wantedRule("quorum", five, company(5, [2, 3]))).toEqual(five);
  const left = { k: 2, cohort: [1, 2, 3] };
  expect(wantedRule("quorum", five, company(5, [2, 3], [4, 5]))).toEqual(left);
  // With fewer than k left, commits block, and the rule stays as it is.
  expect(wantedRule("quorum", five, company(5, [2], [3, 4, 5]))).toEqual(five);
  expect(wantedRule("quorum", left, company(5, [], others(5)))).toEqual(left);
});

test("in available mode a lone survivor goes on, and is then the only one who may be promoted", () => {
  const rest = checkFrom(at({ k: 1, cohort: [1, 2, 3] }), "available", company(3, []));
  expect(print(rest)).toEqual({ now: [0, [1]], next: null });
  expect(lackingReports(bindingRules(rest), new Set([2, 3]), "available")).toEqual([
    { lacking: 1, from: [1] },
  ]);
});

test("a change whose confirmers vanished is turned back, or made weaker where the mode allows it", () => {
  const now = { k: 1, cohort: [1, 2, 3, 4] };
  const next = { k: 2, cohort: [1, 2, 3, 4] };
  expect(stepRule("quorum", at(now, next), company(4, [2]))).toEqual({ step: "back" });
  expect(stepRule("quorum", at(now, next), company(4, []))).toEqual({ step: "prove" });
  expect(stepRule("available", at(now, next), company(4, []))).toEqual({
    step: "next",
    rule: { k: 1, cohort: [1, 2, 3, 4] },
  });
});

test("a step that nobody there could confirm is not begun, whoever is to leave", () => {
  const three = at({ k: 1, cohort: [1, 2, 3] });
  const who = { primary: 1, eligible: [1, 3], streaming: new Set([2]), gone: new Set<NodeId>() };
  expect(stepRule("quorum", three, { ...who, away: new Set([3]) })).toEqual({ step: "none" });
  const there = { ...who, streaming: new Set([2, 3]), away: new Set<NodeId>() };
  expect(stepRule("quorum", three, there)).toEqual({
    step: "next",
    rule: { k: 1, cohort: [1, 3] },
  });
});

test("a half-made change leaves out who is to be primary", () => {
  const halfMade = at({ k: 1, cohort: [1, 2, 3] }, { k: 1, cohort: [1, 3] });
  expect([1, 2, 3].filter((id) => leavesOut(halfMade, id))).toEqual([2]);
  expect(leavesOut(apply(halfMade, { step: "back" }), 2)).toBe(false);
  expect(leavesOut(at({ k: 1, cohort: [1, 3] }), 2)).toBe(false);
});

test("a cluster of three forms by admitting one standby after the other", () => {
  const path: Rule[] = [{ k: 0, cohort: [1] }];
  for (;;) {
    const next = nextRule(path.at(-1) as Rule, { k: 1, cohort: [1, 2, 3] }, company(3, [2, 3]));
    if (next === undefined) break;
    path.push(next);
  }
  expect(path.map(({ k, cohort }) => `${k} of ${cohort.join(",")}`)).toEqual([
    "0 of 1",
    "1 of 1,2",
    "1 of 1,2,3",
  ]);
});

test("the checker itself fails when a member of the old rule is forgotten too early", () => {
  const old = { k: 0, cohort: [1, 2, 3] };
  const next = { k: 1, cohort: [1, 2, 3] };
  expect(() => expectSafe(at(next), [old, next], "quorum")).toThrow();
  // Loosened before the reports were raised (M27), and a majority where n - k is larger (M19).
  expect(() => expectSafe(at(next), [{ k: 0, cohort: [1, 2] }], "quorum")).toThrow();
  const five = { k: 1, cohort: [1, 2, 3, 4, 5] };
  expect(lackingReports([five], new Set([2, 3, 4]), "quorum")).toHaveLength(1);
});
