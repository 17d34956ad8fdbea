/** Facts as a few small words: what the rows of the decision table are matched against. */

import type { NodeId } from "../core/ids.ts";
import { majority } from "../core/quorum.ts";
import { type Choice, choose, type Wish } from "./candidate.ts";
import {
  causeOf,
  classifyPrimary,
  HEALTH,
  type Health,
  healthOf,
  type PrimaryClass,
} from "./classify.ts";
import {
  type Facts,
  isDataMember,
  isHandOverLate,
  type Member,
  type MemberFact,
  memberOf,
  newest,
  primaryOf,
  type RequestFact,
} from "./facts.ts";
import { heldNodes, holdMs, isHeld } from "./flapping.ts";
import { LIMITS } from "./limits.ts";
import { isFenced } from "./old-primary.ts";
import { nextRequest, REQUEST, type RequestStep } from "./requests.ts";
import {
  bindingRules,
  type Company,
  fullK,
  leavesOut,
  type RuleStep,
  stepRule,
} from "./sync-rule.ts";

/** Every word each condition can take. */
export const WORDS = {
  epoch: ["none", "opened", "appointed", "promoted", "serving"],
  /** May this node found the cluster? */
  founder: ["not_yet", "ready", "witness"],
  /** `blocked`: it has waited for long, and nobody was told. */
  choice: ["none", "waiting", "blocked", "left_out" /* ready, but for the rule */, "ready"],
  /** Of the step the appointed node owes: its promotion, then its open gate. */
  promotion: ["pending", "seen", "late"],
  health: HEALTH,
  /** `untold`: something holds a failover back, and no event says so yet. */
  brake: ["none", "paused", "hold_down", "untold"],
  handover: ["none", "under_way", "done", "refused", "late"],
  request: REQUEST,
  /** Steady work while the primary serves, most useful first. */
  chore: [
    "none",
    "attached",
    "rule",
    "rule_back",
    "rule_next",
    "formed",
    "transfer",
    "give_way",
    "remove",
    "forget",
  ],
} as const;

export type Situation = { readonly [Word in keyof typeof WORDS]: (typeof WORDS)[Word][number] };

/** The situation, and what was worked out on the way to it. */
export interface Reading {
  readonly facts: Facts;
  readonly situation: Situation;
  readonly primary: PrimaryClass;
  readonly choice: Choice | undefined;
  readonly request: RequestStep;
}

export function read(facts: Facts): Reading {
  const primary = classifyPrimary(facts);
  const handover = handoverOf(facts);
  const health = handover === "under_way" ? excused(primary) : healthOf(primary);
  const epoch = newest(facts.view)?.state ?? "none";
  const choice = epoch === "opened" ? choose(facts.view, facts.reports, wishOf(facts)) : undefined;
  const request = nextRequest(facts, health, choice);
  const quiet = epoch === "serving" && health === "fine" && handover === "none";
  const situation: Situation = {
    epoch: epoch === "superseded" ? "none" : epoch,
    founder: epoch === "none" ? founderOf(facts) : "not_yet",
    choice: choiceWord(facts, choice),
    promotion: promotionOf(facts),
    health,
    brake: brakeOf(facts, primary),
    handover,
    request: request.step,
    chore: quiet ? choreOf(facts) : epoch === "promoted" ? choreAtGate(facts) : "none",
  };
  return { facts, situation, primary, choice, request };
}

/** A primary that is being stopped as planned may look gone: the hand-over's own answer follows. */
function excused(primary: PrimaryClass): Health {
  return primary === "node_gone" || primary === "node_silent" ? "lost" : "fine";
}

function founderOf(facts: Facts): Situation["founder"] {
  const self = memberOf(facts.view, facts.self);
  if (self !== undefined && !isDataMember(self)) return "witness";
  const seen = facts.members.get(facts.self)?.seen;
  const ready = seen?.state === "stopped" && seen.system_identifier !== null;
  return ready ? "ready" : "not_yet";
}

/** The requests that the newest epoch answers. */
function bound(facts: Facts): RequestFact | undefined {
  const epoch = newest(facts.view)?.epoch ?? 0n;
  return facts.view.requests.find(
    (request) => request.state === "running" && request.epoch !== null && request.epoch <= epoch,
  );
}

function wishOf(facts: Facts): Wish {
  const [epoch, before] = facts.view.epochs;
  const request = bound(facts);
  const handedTo = epoch?.cause === "switchover" ? (before?.handover_to ?? undefined) : undefined;
  // After a full stop nobody is better placed than who was primary, if it holds everything: the role stays.
  const restarted = epoch?.cause === "no_primary" ? (epoch.old_primary ?? undefined) : undefined;
  const target = request?.args.target ?? handedTo ?? restarted;
  const shutdownLsn = facts.handedOver?.shutdownLsn;
  const oldEnd = facts.members.get(epoch?.old_primary ?? 0)?.seen?.wal_lsn;
  const patient = facts.epochMs < LIMITS.targetMs;
  const failed = epoch?.cause === "promotion_failed" ? before?.node_id : null;
  const leaving = facts.view.members.filter((one) => one.leaving).map(({ node_id }) => node_id);
  const avoid = new Set([
    ...heldNodes(facts.flaps),
    ...leaving,
    ...(failed == null ? [] : [failed]),
  ]);
  return {
    avoid,
    ...(target === undefined ? {} : { target }),
    ...(shutdownLsn === undefined ? {} : { shutdownLsn }),
    patient,
    slots: usableSlots(facts),
    oldIsOver: isOver(facts),
    ...(oldEnd == null ? {} : { oldEnd }),
    lossAllowed: !patient && request?.args.allow_data_loss === true,
  };
}

/** As each standby said last; no more than a preference hangs on it. */
function usableSlots({ members }: Facts): ReadonlyMap<number, number> {
  return new Map([...members].map(([id, { seen }]) => [id, seen?.slots ?? 0]));
}

/**
 * The old primary can take no write any more: by its own worker's proof, by its report, by its clean stop, or because
 * its lease, which no leader renews once this epoch is opened, has had its time (H31).
 */
function isOver(facts: Facts): boolean {
  const old = newest(facts.view)?.old_primary ?? undefined;
  return old === undefined || facts.epochMs >= facts.leaseOverMs || isFenced(facts, old);
}

function choiceWord(facts: Facts, choice: Choice | undefined): Situation["choice"] {
  if (choice === undefined) return "none";
  if (choice.kind === "ready") return leavesOut(facts.view, choice.nodeId) ? "left_out" : "ready";
  const long = facts.epochMs >= LIMITS.stalledMs && choice.blocked !== "lease";
  return long && facts.saidBlocked !== choice.why ? "blocked" : "waiting";
}

function promotionOf(facts: Facts): Situation["promotion"] {
  const epoch = newest(facts.view);
  const seen = facts.members.get(primaryOf(facts.view) ?? 0)?.seen;
  if (epoch === undefined || epoch.state === "opened") return "pending";
  if (seen?.epoch === epoch.epoch && seen.role === "primary") {
    const stamped = seen.switch_lsn !== null && seen.stamp_lsn !== null;
    if (epoch.state === "appointed" ? stamped : seen.gate_open) return "seen";
  }
  if (epoch.state === "promoted") return isGateStuck(facts) ? "late" : "pending";
  const limit = epoch.cause === "founding" ? LIMITS.foundingMs : LIMITS.promotingMs;
  return epoch.state === "appointed" && facts.epochMs > limit ? "late" : "pending";
}

/** All that the gate waits for is there, and has been asked for long: something on that node is in its way. */
function isGateStuck({ view, members, epochMs }: Facts): boolean {
  if (epochMs < LIMITS.gateMs) return false;
  const primary = primaryOf(view);
  const stamp = members.get(primary ?? 0)?.seen?.stamp_lsn ?? null;
  const holds = (id: NodeId) => {
    const seen = members.get(id)?.seen;
    const follows = seen?.state === "streaming" && seen.epoch === newest(view)?.epoch;
    return follows && stamp !== null && (seen.wal_lsn ?? 0n) >= stamp;
  };
  return bindingRules(view).every(({ k, cohort }) => {
    const others = cohort.filter((id) => id !== primary && holds(id));
    return k > 0 && others.length >= k;
  });
}

function handoverOf(facts: Facts): Situation["handover"] {
  const epoch = newest(facts.view);
  if (epoch?.state !== "serving" || epoch.handover_to === null) return "none";
  if (facts.handedOver?.shutdownLsn !== undefined) return "done";
  if (facts.handedOver?.problem !== undefined) return "refused";
  return isHandOverLate(facts) ? "late" : "under_way";
}

/** Only what silence suggests is held down; a death that was seen is not (H47). */
function brakeOf(facts: Facts, primary: PrimaryClass): Situation["brake"] {
  const brake = heldBack(facts, primary);
  if (brake === undefined) return "none";
  const lost = healthOf(primary) === "lost" && newest(facts.view)?.state === "serving";
  return lost && facts.saidBlocked !== brake.why ? "untold" : brake.brake;
}

/** What holds a failover back, in one sentence that stays the same while it does. */
export function heldBack(
  facts: Facts,
  primary: PrimaryClass,
): { readonly brake: "paused" | "hold_down"; readonly why: string } | undefined {
  const { view } = facts;
  const cause = causeOf(facts, primary).reason;
  if (view.paused_why !== null) {
    return { brake: "paused", why: `paused (${view.paused_why}), though ${cause}` };
  }
  if (primary !== "node_silent" && primary !== "hung") return undefined;
  const flap = facts.flaps.get(primaryOf(view) ?? 0);
  if (isHeld(flap, facts.gapMs) && flap !== undefined) {
    const seconds = holdMs(flap) / 1000;
    return { brake: "hold_down", why: `held down for ${seconds} s, though ${cause} again` };
  }
  const recent = (facts.sinceFailoverMs ?? Infinity) < LIMITS.holdDownMs;
  if (!recent) return undefined;
  return { brake: "hold_down", why: `too soon after the last failover, though ${cause}` };
}

function choreOf(facts: Facts): Situation["chore"] {
  if (attachedNow(facts) !== undefined) return "attached";
  const { view } = facts;
  if (view.next_rule !== null && ruleInForce(facts)) return "rule";
  const { step } = ruleStep(facts);
  if (step === "back") return "rule_back";
  if (step === "next") return "rule_next";
  if (view.next_rule !== null) return "none";
  if (!view.formed && isWhole(facts)) return "formed";
  if (shouldTransfer(facts)) return "transfer";
  if (heirOf(facts) !== undefined) return "give_way";
  if (departing(facts) !== undefined) return "remove";
  return view.forget === null ? "none" : "forget";
}

/**
 * A member that is to leave and may go: it leads nothing, no commit rule speaks of it, and of the voters that stay a
 * majority answers.
 */
export function departing({ self, view, members }: Facts): NodeId | undefined {
  const counted = bindingRules(view).flatMap(({ cohort }) => cohort);
  return view.members.find(({ node_id, leaving }) => {
    if (!leaving || node_id === self || counted.includes(node_id)) return false;
    const staying = view.members.filter((one) => one.voter && one.node_id !== node_id);
    const there = staying.filter((one) => hasVoice(members.get(one.node_id)));
    return there.length >= majority(staying.length);
  })?.node_id;
}

/** It answers, in the life whose vote counts: one that was wiped a moment ago is no part of a majority (H56). */
function hasVoice(fact: MemberFact | undefined): boolean {
  return fact?.store.reach === "ok" && fact.known;
}

/** Behind a closed gate only one thing helps: fewer confirmations, where the mode allows it and too few are there. */
function choreAtGate(facts: Facts): Situation["chore"] {
  const step = ruleStep(facts);
  const { rule, next_rule: next } = facts.view;
  return step.step === "next" && step.rule.k < (next ?? rule).k ? "rule_next" : "none";
}

/** A member that streams from the primary for the first time. */
export function attachedNow({ view, members }: Facts): number | undefined {
  const attached = members.get(primaryOf(view) ?? 0)?.seen?.attached ?? [];
  return view.members.find(
    (member) => member.state === "registered" && attached.includes(member.node_id),
  )?.node_id;
}

/** What should happen to the commit rule next; nothing before the cluster is whole. */
export function ruleStep(facts: Facts): RuleStep {
  const { view } = facts;
  const company = companyOf(facts);
  const early = !view.formed && !haveAllAttached(facts);
  return early || company === undefined ? { step: "none" } : stepRule(view.mode, view, company);
}

/** Every data member has attached, and commits need as many confirmations as they should. */
function isWhole(facts: Facts): boolean {
  const { view } = facts;
  const eligible = companyOf(facts)?.eligible ?? [];
  return haveAllAttached(facts) && view.rule.k === fullK(view.mode, eligible.length);
}

function haveAllAttached({ view }: Facts): boolean {
  return view.members.every((member) => !isDataMember(member) || member.state === "attached");
}

/**
 * Who may never be promoted, or has never streamed, must not confirm commits (H19). Nobody knows before the primary has
 * been heard in this leadership: its row from before may be of a server that is gone, and a rule that asks nobody would
 * let only a proved fence count as its end (H05).
 */
function companyOf(facts: Facts): Company | undefined {
  const { view, members } = facts;
  const primary = primaryOf(view);
  if (primary === undefined || members.get(primary)?.beatMs === undefined) return undefined;
  const eligible = view.members
    .filter(isDataMember)
    .filter((m) => m.node_id === primary || mayCount(m))
    .map((m) => m.node_id);
  const others = eligible.filter((id) => id !== primary);
  const away = (limitMs: number) =>
    new Set(others.filter((id) => (members.get(id)?.awayMs ?? Infinity) >= limitMs));
  const streaming = new Set(others.filter((id) => keepsUp(facts, id)));
  return { primary, eligible, streaming, away: away(LIMITS.awayMs), gone: away(LIMITS.goneMs) };
}

function mayCount({ promotable, sync, leaving, state }: Member): boolean {
  return promotable && sync && !leaving && state === "attached";
}

/** It streams by the primary's word and by its own, in this epoch, and has little left to fetch. */
function keepsUp({ view, members }: Facts, id: NodeId): boolean {
  const attached = members.get(primaryOf(view) ?? 0)?.seen?.attached ?? [];
  const seen = members.get(id)?.seen;
  return (
    attached.includes(id) &&
    seen?.state === "streaming" &&
    seen.epoch === newest(view)?.epoch &&
    (seen.lag_bytes ?? 0n) <= LIMITS.joinLagBytes
  );
}

/** The primary proved this very change, in this epoch (H17); an older proof of the same words counts for nothing. */
function ruleInForce({ view, members }: Facts): boolean {
  const seen = members.get(primaryOf(view) ?? 0)?.seen;
  return seen?.epoch === newest(view)?.epoch && seen?.rule_proved === view.rule.version + 1n;
}

/** A leader that is to leave and cannot give way to the primary, which does not vote: any other voter will do. */
export function heirOf(facts: Facts): NodeId | undefined {
  const { self, view, members, sinceTransferMs } = facts;
  if (memberOf(view, self)?.leaving !== true) return undefined;
  if (memberOf(view, primaryOf(view))?.voter === true) return undefined;
  if ((sinceTransferMs ?? Infinity) < LIMITS.transferEveryMs) return undefined;
  return view.members.find(
    ({ node_id, voter, leaving }) =>
      voter && !leaving && node_id !== self && hasVoice(members.get(node_id)),
  )?.node_id;
}

/** In steady state one heartbeat covers leader and primary: leadership follows the primary. */
function shouldTransfer(facts: Facts): boolean {
  const primary = primaryOf(facts.view);
  const member = memberOf(facts.view, primary);
  const { store } = facts.members.get(primary ?? 0) ?? {};
  return (
    primary !== facts.self &&
    member?.voter === true &&
    store?.reach === "ok" &&
    store.sinceMs >= LIMITS.steadyMs &&
    !facts.view.requests.some((request) => request.state === "running") &&
    facts.epochMs >= LIMITS.settledMs &&
    facts.leadingMs >= LIMITS.leadingMs &&
    (facts.sinceTransferMs ?? Infinity) >= LIMITS.transferEveryMs
  );
}
