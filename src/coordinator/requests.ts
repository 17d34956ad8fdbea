/** An operator's request, from waiting to done: which step is next, or why it cannot be met. */
import type { Epoch, NodeId } from "../core/ids.ts";
import type { Choice } from "./candidate.ts";
import type { Health } from "./classify.ts";
import {
  type EpochFact,
  type Facts,
  isHandOverLate,
  type Member,
  memberOf,
  nameOf,
  newest,
  primaryOf,
  type RequestFact,
} from "./facts.ts";
import { LIMITS } from "./limits.ts";
import { bindingRules } from "./sync-rule.ts";

export const REQUEST = [
  "none",
  "under_way",
  "start" /* it is valid and due */,
  "hand_over" /* it runs: ask the primary to hand over */,
  "open_epoch" /* it runs: the primary is not asked */,
  "failed",
  "done",
] as const;

export type RequestStep =
  | { readonly step: "none" }
  | { readonly step: "under_way" | "open_epoch" | "done"; readonly request: RequestFact }
  | { readonly step: "start"; readonly request: RequestFact; readonly epoch: Epoch }
  | { readonly step: "hand_over"; readonly request: RequestFact; readonly to: NodeId }
  | ({ readonly step: "failed"; readonly request: RequestFact } & Refusal);

/** What the caller gets: RF010 it cannot be done, RF011 it would lose data. */
export interface Refusal {
  readonly sqlstate: "RF010" | "RF011";
  readonly reason: string;
  readonly hint: string;
}

type Plan = { readonly to: NodeId } | "open_epoch" | "wait" | Refusal;

const FORCE = "if that may be lost: select pg_replica.failover(allow_data_loss => true)";

/** One request at a time: the one that runs, else the oldest that is due. */
export function nextRequest(facts: Facts, health: Health, choice: Choice | undefined): RequestStep {
  const { requests } = facts.view;
  const running = requests.find((request) => request.state === "running");
  if (running !== undefined) return goOn(facts, health, choice, running);
  const dueIn = (request: RequestFact) => facts.dueInMs.get(request.request_id) ?? 0;
  const waiting = requests.find(
    (request) => request.state === "waiting" && dueIn(request) <= LIMITS.refuseEarlyMs,
  );
  if (waiting === undefined) return { step: "none" };
  const step = begin(facts, health, waiting);
  // A caller that has to leave before it begins hears a refusal all the same.
  return dueIn(waiting) <= 0 || step.step === "failed" ? step : { step: "none" };
}

function begin(facts: Facts, health: Health, request: RequestFact): RequestStep {
  const epoch = newest(facts.view);
  if (epoch === undefined) {
    return failed(request, "the cluster has no primary yet", "wait until it has formed");
  }
  const { epoch: asked } = request.args;
  if (asked !== undefined && asked !== null && asked < epoch.epoch) {
    // Nobody could commit it then, or a failover was sooner: what it was about is over.
    const reason = `it was asked for in epoch ${asked}, and epoch ${epoch.epoch} has begun since`;
    return failed(request, reason, "ask again, if it is still wanted");
  }
  if (epoch.state !== "serving") {
    // A failover is what is going on: its end is the answer. A switchover waits for its turn.
    const step = request.kind === "failover" ? "start" : "none";
    return step === "none" ? { step } : { step, request, epoch: epoch.epoch };
  }
  if (epoch.handover_to !== null) return { step: "none" };
  const planned = plan(facts, health, request);
  if (planned === "wait") return { step: "none" };
  if (typeof planned === "object" && "sqlstate" in planned) {
    return { step: "failed", request, ...planned };
  }
  return { step: "start", request, epoch: epoch.epoch + 1n };
}

/** A running request names the epoch that answers it: before that epoch it is begun, after it ended. */
function goOn(
  facts: Facts,
  health: Health,
  choice: Choice | undefined,
  request: RequestFact,
): RequestStep {
  const epoch = newest(facts.view);
  if (epoch === undefined) return { step: "under_way", request };
  if (request.epoch === null || epoch.epoch >= request.epoch) {
    return answered(facts, health, choice, request);
  }
  if (epoch.handover_request === request.request_id) return handingOver(facts, request);
  if (epoch.state !== "serving" || epoch.handover_to !== null)
    return { step: "under_way", request };
  const planned = plan(facts, health, request);
  if (planned === "wait") return { step: "under_way", request };
  if (planned === "open_epoch") return { step: "open_epoch", request };
  if ("sqlstate" in planned) return { step: "failed", request, ...planned };
  return { step: "hand_over", request, to: planned.to };
}

function handingOver(facts: Facts, request: RequestFact): RequestStep {
  const problem =
    facts.handedOver?.problem ??
    (isHandOverLate(facts) && facts.handedOver?.shutdownLsn === undefined
      ? "the primary did not hand over in time"
      : undefined);
  if (problem === undefined) return { step: "under_way", request };
  return failed(request, problem, "the old primary goes on; see pg_replica.events()");
}

function answered(
  facts: Facts,
  health: Health,
  choice: Choice | undefined,
  request: RequestFact,
): RequestStep {
  const epoch = newest(facts.view) as EpochFact;
  if (epoch.state === "opened" && choice?.kind === "waiting") {
    // A primary that was drained as planned has yet to come back and report.
    const limit = request.kind === "switchover" ? LIMITS.drainMs : LIMITS.stalledMs;
    if (request.args.allow_data_loss || choice.blocked === "lease" || facts.epochMs < limit) {
      return { step: "under_way", request };
    }
    const sqlstate = choice.blocked === "pledges" ? "RF010" : "RF011";
    const reason = `acknowledged commits might be lost: ${choice.why}`;
    return { step: "failed", request, sqlstate, reason, hint: FORCE };
  }
  if (epoch.state !== "serving") return { step: "under_way", request };
  const { target } = request.args;
  if (target === null || epoch.node_id === target) return { step: "done", request };
  // Once: a target that was appointed meanwhile, and lost the role again, is not tried for ever.
  const first = request.kind === "failover" && epoch.epoch === request.epoch;
  return first ? fetching(facts, health, request, target) : missed(facts, request, target);
}

/**
 * The target of a failover lacked WAL, and whoever holds it was appointed at once, so that writes go on: from there the
 * target fetches what it lacks, and the role follows when little of it is left.
 */
function fetching(facts: Facts, health: Health, request: RequestFact, target: NodeId): RequestStep {
  const { epoch, handover_to, handover_request } = newest(facts.view) as EpochFact;
  if (handover_request === request.request_id) return handingOver(facts, request);
  const seen = facts.members.get(target)?.seen;
  const lag = seen?.epoch === epoch && seen.state === "streaming" ? seen.lag_bytes : null;
  const near = lag !== null && lag <= LIMITS.joinLagBytes;
  const able = near && health === "fine" && handover_to === null;
  if (able && "to" in planned(facts, target)) return { step: "hand_over", request, to: target };
  return facts.epochMs < LIMITS.fetchMs
    ? { step: "under_way", request }
    : missed(facts, request, target);
}

function missed({ view }: Facts, request: RequestFact, target: NodeId): RequestStep {
  const became = `${nameOf(view, primaryOf(view))} became primary`;
  const reason = `${became}: ${nameOf(view, target)} was no candidate`;
  const hint = "epoch_opened and primary_appointed in pg_replica.events() say why";
  return failed(request, reason, hint);
}

/** What would be done for the request now. */
function plan(facts: Facts, health: Health, request: RequestFact): Plan {
  const { view } = facts;
  const { target } = request.args;
  const bad = target === null ? undefined : badTarget(facts, target);
  if (bad !== undefined) return bad;
  const primary = nameOf(view, primaryOf(view));
  if (health !== "fine") {
    // A leader that has just begun does not know a healthy primary yet.
    const tooEarly = health === "suspected" && facts.leadingMs < LIMITS.workerAliveMs;
    if (tooEarly) return "wait";
    if (request.kind === "failover") return "open_epoch";
    return refusal(`${primary} does not serve`, "select pg_replica.failover() promotes another");
  }
  if (target === primaryOf(view)) {
    return refusal(`${primary} is the primary already`, "name another node, or none");
  }
  return planned(facts, target);
}

function badTarget(facts: Facts, target: NodeId): Refusal | undefined {
  const member = memberOf(facts.view, target);
  if (member === undefined)
    return refusal(`node ${target} is no member`, "see pg_replica.members()");
  if (member.data_port === null) {
    return refusal(`${member.name} is a witness: it has no data server`, "name another node");
  }
  if (!member.promotable) return refusal(`${member.name} may not be promoted`, "name another node");
  if (member.leaving) return refusal(`${member.name} is to leave`, "name another node");
  return undefined;
}

/** To whom a healthy primary can hand over without loss: a standby that streams, with least lag. */
function planned(facts: Facts, target: NodeId | null): { readonly to: NodeId } | Refusal {
  const primary = primaryOf(facts.view);
  const attached = facts.members.get(primary ?? 0)?.seen?.attached ?? [];
  const standbys = facts.view.members
    .filter((member) => attached.includes(member.node_id) && canTakeOver(facts, member))
    .sort(
      (a, b) => lag(facts, a) - lag(facts, b) || b.priority - a.priority || a.node_id - b.node_id,
    );
  const [least] = standbys;
  const wanted = target === null ? least : standbys.find((m) => m.node_id === target);
  if (wanted !== undefined) return { to: wanted.node_id };
  const from = nameOf(facts.view, primary);
  const reason =
    target === null
      ? `${from} has no streaming standby that may be promoted and counts for commits`
      : `${nameOf(facts.view, target)} is no streaming standby of ${from} that counts for commits`;
  return refusal(reason, "pg_replica.status() shows what each node lacks");
}

function canTakeOver(facts: Facts, member: Member): boolean {
  const beatMs = facts.members.get(member.node_id)?.beatMs ?? facts.leadingMs;
  const alive = beatMs <= LIMITS.workerAliveMs;
  const counts = bindingRules(facts.view).every((rule) => rule.cohort.includes(member.node_id));
  const fit = member.promotable && !member.leaving && member.node_id !== primaryOf(facts.view);
  return fit && alive && counts;
}

function lag(facts: Facts, member: Member): number {
  return Number(facts.members.get(member.node_id)?.seen?.lag_bytes ?? 0n);
}

function failed(request: RequestFact, reason: string, hint: string): RequestStep {
  return { step: "failed", request, ...refusal(reason, hint) };
}

function refusal(reason: string, hint: string): Refusal {
  return { sqlstate: "RF010", reason, hint };
}
