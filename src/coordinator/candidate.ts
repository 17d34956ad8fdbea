/** Who becomes primary: the pledges and reports that allow a choice, and the order of those who reported. */
import { formatLsn, type Lsn, type NodeId } from "../core/ids.ts";
import { majority } from "../core/quorum.ts";
import { type Member, memberOf, nameOf, newest, type ReportFact, type View } from "./facts.ts";
import { bindingRules, lackingReports } from "./sync-rule.ts";

/** What an operator, or a planned hand-over, asks of the choice. */
export interface Wish {
  readonly target?: NodeId;
  /** A planned hand-over ended here: who reaches it has every byte. */
  readonly shutdownLsn?: Lsn;
  /** The target may still come: do not take another yet. */
  readonly patient: boolean;
  /**
   * Did not promote when it was appointed last (H46), is held down (H47) or is to leave: others with the same WAL come
   * first.
   */
  readonly avoid: ReadonlySet<NodeId>;
  /** The named override: choose among whoever reported, though acknowledged commits may be lost. */
  readonly lossAllowed: boolean;
  /** The old primary is proved down, or its lease is over: it takes no more writes on its own. */
  readonly oldIsOver: boolean;
  /** How far the old primary's WAL was known to reach. */
  readonly oldEnd?: Lsn;
  /** Logical slots that each could carry on: a consumer of one that is lost has to be re-seeded (H45). */
  readonly slots: ReadonlyMap<NodeId, number>;
}

export type Choice =
  | {
      readonly kind: "ready";
      readonly nodeId: NodeId;
      readonly historyEpoch: bigint;
      readonly lsn: Lsn;
      readonly why: string;
      /** Acknowledged commits may be lost: so many bytes of WAL are known of that nobody here holds. */
      readonly lostBytes?: bigint;
    }
  | { readonly kind: "waiting"; readonly blocked: Blocked; readonly why: string };

/** `lease`: only time is missing, until the old primary has ended by itself at the latest. */
export type Blocked = "pledges" | "reports" | "lease";

export const NO_WISH: Wish = {
  patient: false,
  avoid: new Set(),
  lossAllowed: false,
  oldIsOver: true,
  slots: new Map(),
};

interface Place {
  readonly member: Member;
  readonly historyEpoch: bigint;
  readonly lsn: Lsn;
  readonly slots: number;
}

/** It reported that it holds nothing, and confirmed nothing from that epoch on. */
interface Void {
  readonly member: Member;
  readonly nothingFrom: bigint;
}

/** Choose for the newest epoch, which is `opened`, or say for whom the choice waits (H10, H48). */
export function choose(
  view: View,
  reports: ReadonlyMap<NodeId, ReportFact>,
  wish: Wish = NO_WISH,
): Choice {
  const epoch = newest(view)?.epoch ?? 0n;
  const pledges = lackingPledges(view, reports, epoch);
  if (pledges !== undefined) return { kind: "waiting", blocked: "pledges", why: pledges };

  const voids = voidsOf(view, reports, epoch);
  const { slots } = wish;
  const lacking = lackingWhy(view, placesOf(view, reports, { epoch, slots }), voids);
  const anybody = lacking !== undefined && wish.lossAllowed;
  const places = placesOf(view, reports, { epoch, slots, anybody });
  if (places.length === 0 || (lacking !== undefined && !wish.lossAllowed)) {
    return { kind: "waiting", blocked: "reports", why: lacking ?? "no member has reported" };
  }
  const old = newest(view)?.old_primary;
  const ownWord = reports.get(old ?? 0)?.lsn !== undefined || wish.shutdownLsn !== undefined;
  const recovered = newest(view)?.cause === "recovered";
  const lossy = lacking !== undefined || ((recovered || mayAcknowledgeAlone(view)) && !ownWord);
  if (lossy && !wish.oldIsOver) {
    // Nobody's pledge keeps it from acknowledging: it must have ended first (H31).
    const why = `the lease of ${nameOf(view, old)} may still run`;
    return { kind: "waiting", blocked: "lease", why };
  }
  const choice = pick(view, places, wish, lacking);
  return lossy && choice.kind === "ready"
    ? { ...choice, lostBytes: bytesBetween(choice.lsn, wish.oldEnd) }
    : choice;
}

/** Under a rule that asks nobody, the reports that suffice need not include who acknowledged. */
function mayAcknowledgeAlone(view: View): boolean {
  return view.mode === "async" && bindingRules(view).some(({ k }) => k === 0);
}

function bytesBetween(from: Lsn, to: Lsn | undefined): bigint {
  return to === undefined || to < from ? 0n : to - from;
}

function lackingPledges(
  view: View,
  reports: ReadonlyMap<NodeId, ReportFact>,
  epoch: bigint,
): string | undefined {
  const voters = view.members.filter((member) => member.voter);
  const missing = voters.filter(({ node_id }) => (reports.get(node_id)?.pledge ?? -1n) < epoch);
  const lacking = majority(voters.length) - (voters.length - missing.length);
  if (lacking <= 0) return undefined;
  const names = missing.map((member) => member.name).join(", ");
  return `${needed(lacking, "pledge")} of ${names}`;
}

function lackingWhy(
  view: View,
  places: readonly Place[],
  voids: readonly Void[],
): string | undefined {
  const reporters = new Set([...places, ...voids].map(({ member }) => member.node_id));
  const [first] = lackingReports(bindingRules(view), reporters, view.mode);
  if (first === undefined) return uncovered(places, voids);
  const names = first.from.map((id) => nameOf(view, id)).join(", ");
  return `${needed(first.lacking, "report")} of ${names}`;
}

/** What a void member confirmed before its epoch is surely held only by those who hold that epoch's beginning (D4). */
function uncovered(places: readonly Place[], voids: readonly Void[]): string | undefined {
  const best = places[0]?.historyEpoch ?? 0n;
  const beyond = voids.find(({ nothingFrom }) => nothingFrom > best);
  if (beyond === undefined) return undefined;
  const { member, nothingFrom } = beyond;
  return `a report of epoch ${nothingFrom} is needed: ${member.name} no longer holds what came before`;
}

function needed(count: number, what: string): string {
  return count === 1 ? `1 more ${what} is needed` : `${count} more ${what}s are needed`;
}

/** Cohort members (or, where loss is allowed, any) that reported WAL for this very epoch, best first (H23). */
function placesOf(
  view: View,
  reports: ReadonlyMap<NodeId, ReportFact>,
  {
    epoch,
    slots,
    anybody = false,
  }: Pick<Wish, "slots"> & { readonly epoch: bigint; readonly anybody?: boolean },
): readonly Place[] {
  return reported(view, reports, epoch, anybody)
    .flatMap(({ member, historyEpoch, lsn }) =>
      lsn === undefined
        ? []
        : [{ member, historyEpoch, lsn, slots: slots.get(member.node_id) ?? 0 }],
    )
    .sort((a, b) => better(a, b, view.node_id));
}

/** Cohort members that reported for this very epoch that they hold nothing. */
function voidsOf(
  view: View,
  reports: ReadonlyMap<NodeId, ReportFact>,
  epoch: bigint,
): readonly Void[] {
  return reported(view, reports, epoch, false).flatMap(({ member, historyEpoch, lsn }) =>
    lsn === undefined ? [{ member, nothingFrom: historyEpoch }] : [],
  );
}

/** Who said something for this very epoch, with WAL or without; of the cohort alone, unless `anybody` counts. */
function reported(
  view: View,
  reports: ReadonlyMap<NodeId, ReportFact>,
  epoch: bigint,
  anybody: boolean,
) {
  const cohort = new Set(bindingRules(view).flatMap((rule) => rule.cohort));
  return [...reports].flatMap(([id, { pledge, historyEpoch, lsn }]) => {
    const member = memberOf(view, id);
    const counts = member !== undefined && (anybody || cohort.has(id)) && pledge === epoch;
    return counts && historyEpoch !== undefined ? [{ member, historyEpoch, lsn }] : [];
  });
}

/**
 * Newest history, most WAL: safety is these two alone. Then most usable slots, highest priority, the leader, whom no
 * message need reach, and the lowest id.
 */
export function better(a: Place, b: Place, leader: NodeId): number {
  if (a.historyEpoch !== b.historyEpoch) return a.historyEpoch > b.historyEpoch ? -1 : 1;
  if (a.lsn !== b.lsn) return a.lsn > b.lsn ? -1 : 1;
  const afar = ({ member }: Place) => (member.node_id === leader ? 0 : 1);
  return (
    b.slots - a.slots ||
    b.member.priority - a.member.priority ||
    afar(a) - afar(b) ||
    a.member.node_id - b.member.node_id
  );
}

function pick(
  view: View,
  places: readonly Place[],
  wish: Wish,
  lacking: string | undefined,
): Choice {
  const best = places[0] as Place;
  const fit = places.filter((place) => unfit(place, best, wish) === undefined);
  const wanted = fit.find((place) => place.member.node_id === wish.target);
  const target = nameOf(view, wish.target);
  const passedOver = places.find((place) => place.member.node_id === wish.target);
  if (wish.target !== undefined && wish.patient && passedOver === undefined) {
    return { kind: "waiting", blocked: "reports", why: `${target} is wanted and may yet come` };
  }
  const chosen = wanted ?? fit.find((place) => !wish.avoid.has(place.member.node_id)) ?? fit[0];
  if (chosen === undefined) {
    const why = `${best.member.name} has the newest WAL and ${unfit(best, best, wish)}`;
    return { kind: "waiting", blocked: "reports", why };
  }
  const notes = [
    ...(wish.target === undefined || wanted !== undefined
      ? []
      : [`${target} ${passedOver ? unfit(passedOver, best, wish) : "has not reported"}`]),
    ...(lacking === undefined ? [] : [`data loss was allowed: ${lacking}`]),
  ];
  const { member, historyEpoch, lsn } = chosen;
  const why = [describe(places, chosen), ...notes].join("; ");
  return { kind: "ready", nodeId: member.node_id, historyEpoch, lsn, why };
}

/** Why a member that reported may not be chosen; undefined when it may. */
function unfit(place: Place, best: Place, { shutdownLsn }: Wish): string | undefined {
  if (!place.member.promotable) return "may not be promoted";
  if (place.historyEpoch !== best.historyEpoch) return "has an older history";
  const complete = shutdownLsn !== undefined && place.lsn >= shutdownLsn;
  return place.lsn === best.lsn || complete ? undefined : "lacks WAL that another has";
}

function describe(places: readonly Place[], { member, historyEpoch, lsn }: Place): string {
  const rest = places
    .filter((place) => place.member.node_id !== member.node_id)
    .map((place) => `${place.member.name} ${place.historyEpoch}, ${formatLsn(place.lsn)}`);
  const others = rest.length === 0 ? "nobody else reported" : `others: ${rest.join(" · ")}`;
  return `${member.name} reported epoch ${historyEpoch}, ${formatLsn(lsn)}; ${others}`;
}
