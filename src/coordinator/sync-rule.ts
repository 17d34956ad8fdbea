/**
 * The commit rule, the reports a promotion needs, and how one rule becomes another.
 *
 * Invariant D8 (H18): at every moment each set of members that may have acknowledged a commit, under
 * any rule a walsender may still apply, meets each set of reports that lets a promotion go ahead.
 * A change is made in two commits. `rule_next` adds the new rule's reports to those of the old one;
 * then the primary's configuration changes and is proved in force (H17); `rule` lets the old one go.
 * One step moves at most one member in or out and k by at most one; whoever leads next sees where it
 * stands and takes the next step from there.
 *
 * A change that cannot be proved, since who should confirm it went away, is turned back (`rule_back`: old and
 * new change places, both bind on) or, where the mode lets confirmations go, made weaker (`rule_next` again,
 * same cohort, smaller k: its reports are more, so they cover what was begun).
 */
import type { NodeId } from "../core/ids.ts";
import { defaultK, majority, reportsNeeded } from "../core/quorum.ts";
import type { Rule, View } from "./facts.ts";

export type Mode = View["mode"];

/** Who is there, as far as a commit rule is concerned. */
export interface Company {
  readonly primary: NodeId;
  /** Data members that may count at all: promotable, and attached once; the primary is one of them (H19). */
  readonly eligible: readonly NodeId[];
  /** Stream from the primary in this epoch, and keep up. */
  readonly streaming: ReadonlySet<NodeId>;
  /** Have not streamed for a moment: nothing they should confirm can be proved now. */
  readonly away: ReadonlySet<NodeId>;
  /** Have not streamed for so long that they should block nothing. */
  readonly gone: ReadonlySet<NodeId>;
}

/** What to do about the rule now; `prove`: wait until the primary has proved the next one. */
export type RuleStep =
  | { readonly step: "none" | "prove" | "back" }
  | { readonly step: "next"; readonly rule: Rule };

/** The rules that bind a promotion now: two while a change is half made. */
export function bindingRules(view: Pick<View, "rule" | "next_rule">): readonly Rule[] {
  return view.next_rule === null ? [view.rule] : [view.rule, view.next_rule];
}

/** How many of the rule's cohort must report. Where nobody confirms, `async` settles for a majority: that may lose. */
export function reportsFor(rule: Rule, mode: Mode): number {
  const n = rule.cohort.length;
  return mode === "async" && rule.k === 0 ? majority(n) : reportsNeeded(n, rule.k);
}

/** How many reports each binding rule still lacks; empty when a promotion may go ahead. */
export function lackingReports(
  rules: readonly Rule[],
  reporters: ReadonlySet<NodeId>,
  mode: Mode,
): readonly { readonly lacking: number; readonly from: readonly NodeId[] }[] {
  return rules
    .map((rule) => {
      const from = rule.cohort.filter((id) => !reporters.has(id));
      return { lacking: reportsFor(rule, mode) - (rule.cohort.length - from.length), from };
    })
    .filter(({ lacking }) => lacking > 0);
}

/** Confirmations a commit needs when everybody is there. */
export function fullK(mode: Mode, members: number): number {
  return mode === "async" ? 0 : defaultK(members);
}

/** The rule that fits who is there. Confirmations stay what the number of members asks for, except in `available`. */
export function wantedRule(mode: Mode, now: Rule, company: Company): Rule {
  const { primary, eligible, streaming, away, gone } = company;
  const cohort = eligible.filter(
    (id) => id === primary || now.cohort.includes(id) || streaming.has(id),
  );
  const without = (left: ReadonlySet<NodeId>) =>
    cohort.filter((id) => id === primary || !left.has(id));
  const k = fullK(mode, eligible.length);
  if (mode === "async") return { k, cohort };
  const near = without(away);
  if (mode === "available" && near.length - 1 < k) return { k: near.length - 1, cohort: near };
  const there = without(gone);
  if (there.length - 1 >= k) return { k, cohort: there };
  return { k: Math.min(k, cohort.length - 1), cohort };
}

/** The next step towards the rule that fits, from wherever the rule stands. */
export function stepRule(
  mode: Mode,
  view: Pick<View, "rule" | "next_rule">,
  company: Company,
): RuleStep {
  const { rule, next_rule: next } = view;
  if (next === null) {
    const wanted = nextRule(rule, wantedRule(mode, rule, company), company);
    // One that nobody there could confirm would be turned back at once, and begun again for ever.
    const waits = wanted !== undefined && !canConfirm(wanted, company) && canConfirm(rule, company);
    return wanted === undefined || waits ? { step: "none" } : { step: "next", rule: wanted };
  }
  if (canConfirm(next, company)) return { step: "prove" };
  if (canConfirm(rule, company)) return { step: "back" };
  const { k } = wantedRule(mode, next, company);
  return k < next.k
    ? { step: "next", rule: { k: next.k - 1, cohort: next.cohort } }
    : { step: "prove" };
}

/**
 * Whether a half-made change leaves out who is to be primary. Its own copy is one of those that the reports must meet:
 * n - k counts it (H10); and commits would go by the new rule as soon as it promotes. So that is turned back first.
 */
export function leavesOut(
  { rule, next_rule: next }: Pick<View, "rule" | "next_rule">,
  chosen: NodeId,
): boolean {
  return next !== null && rule.cohort.includes(chosen) && !next.cohort.includes(chosen);
}

/** Enough of its members are there to confirm it. */
function canConfirm({ k, cohort }: Rule, { primary, away }: Company): boolean {
  return cohort.filter((id) => id !== primary && !away.has(id)).length >= k;
}

/** The next rule on the way from one to the other; undefined when they are the same, or it could not be proved. */
export function nextRule(
  now: Rule,
  wanted: Rule,
  company: Pick<Company, "primary" | "away">,
): Rule | undefined {
  const joining = wanted.cohort.filter((id) => !now.cohort.includes(id)).sort(byNumber)[0];
  const leaving = now.cohort.filter((id) => !wanted.cohort.includes(id)).sort(byNumber)[0];
  const cohort = oneMember(now.cohort, joining, leaving);
  const settled = joining === undefined && leaving === undefined;
  // On the way k may be lower than wanted, never lower than it was.
  const goal = settled ? wanted.k : Math.max(now.k, Math.min(wanted.k, defaultK(cohort.length)));
  const k = now.k + Math.sign((wanted.k < now.k ? wanted.k : goal) - now.k);
  const there = cohort.filter((id) => id !== company.primary && !company.away.has(id)).length;
  const provable = k > now.k && there < k ? now.k : k;
  return settled && provable === now.k ? undefined : { k: provable, cohort };
}

function oneMember(
  cohort: readonly NodeId[],
  joining: NodeId | undefined,
  leaving: NodeId | undefined,
): readonly NodeId[] {
  if (joining !== undefined) return [...cohort, joining].sort(byNumber);
  return cohort.filter((id) => id !== leaving);
}

function byNumber(a: number, b: number): number {
  return a - b;
}
