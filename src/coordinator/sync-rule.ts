/**
 * The commit rule, the reports a promotion needs, and how one rule becomes another.
 *
 * Invariant (H18): at every moment each set of members that may have acknowledged a commit, under
 * any rule a walsender may still apply, meets each set of reports that lets a promotion go ahead.
 * A change is made in two commits. `rule_next` adds the new rule's reports to those of the old one;
 * then the primary's configuration changes and is proved in force (H17); `rule` lets the old one go.
 * One step moves at most one member in or out and k by at most one; whoever leads next sees where it
 * stands and takes the next step from there.
 */
import type { NodeId } from "../core/ids.ts";
import { defaultK, majority, reportsNeeded } from "../core/quorum.ts";
import { isDataMember, primaryOf, type Rule, type View } from "./facts.ts";

export type Mode = View["mode"];

/** The rules that bind a promotion now: two while a change is half made. */
export function bindingRules(view: Pick<View, "rule" | "next_rule">): readonly Rule[] {
  return view.next_rule === null ? [view.rule] : [view.rule, view.next_rule];
}

/** How many of the rule's cohort must report. `async` cannot meet every commit: it asks for a majority. */
export function reportsFor(rule: Rule, mode: Mode): number {
  const n = rule.cohort.length;
  return mode === "async" ? majority(n) : reportsNeeded(n, rule.k);
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

/** The rule this cluster should have: undefined while it forms and not every data member has attached. */
export function wantedRule(view: View): Rule | undefined {
  const data = view.members.filter(isDataMember);
  if (!view.formed && data.some((member) => member.state !== "attached")) return undefined;
  const primary = primaryOf(view);
  // H19: who may never be promoted, or has never streamed, must not confirm commits.
  const cohort = data
    .filter((m) => m.node_id === primary || (m.promotable && m.state === "attached"))
    .map((m) => m.node_id);
  return { k: view.mode === "async" ? 0 : defaultK(cohort.length), cohort };
}

/** The next rule on the way from one to the other; undefined when they are the same. */
export function nextRule(now: Rule, wanted: Rule): Rule | undefined {
  const joining = wanted.cohort.filter((id) => !now.cohort.includes(id)).sort(byNumber)[0];
  const leaving = now.cohort.filter((id) => !wanted.cohort.includes(id)).sort(byNumber)[0];
  const cohort = oneMember(now.cohort, joining, leaving);
  const settled = joining === undefined && leaving === undefined;
  const goal = settled ? wanted.k : Math.min(wanted.k, defaultK(cohort.length));
  const k = now.k + Math.sign(goal - now.k);
  return settled && k === now.k ? undefined : { k, cohort };
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
