/** Acts to orders: the command each one proposes, filled in from what was read. No act chooses anything. */
import { formatLsn, type NodeId } from "../core/ids.ts";
import { invariant } from "../core/invariant.ts";
import { causeOf } from "./classify.ts";
import { isDataMember, nameOf, newest, primaryOf, type Rule } from "./facts.ts";
import { oldIsFenced } from "./old-primary.ts";
import { attachedNow, departing, heirOf, heldBack, type Reading, ruleStep } from "./situation.ts";

/** What a Raft entry will hold; Raft adds `at`. */
export interface Command {
  readonly kind: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface Order {
  readonly why?: string;
  readonly command?: Command;
  readonly transferTo?: NodeId;
}

const NAMES = [
  "wait",
  "probe",
  "transfer_to_primary",
  "transfer_to_data",
  "transfer_to_voter",
  "found",
  "open_epoch",
  "open_for_request",
  "open_after_hand_over",
  "give_up",
  "appoint",
  "promoted",
  "serving",
  "hand_over",
  "keep_primary",
  "attached",
  "rule_next",
  "rule_back",
  "rule",
  "formed",
  "remove",
  "forget",
  "run_request",
  "fail_request",
  "finish_request",
  "say_blocked",
  "say_held",
] as const;
export type Act = (typeof NAMES)[number];

export const ACTS: Readonly<Record<Act, (reading: Reading) => Order>> = {
  wait: waitOrder,
  probe: ({ primary }) => ({ why: primary }),
  transfer_to_primary: ({ facts: { view } }) =>
    transfer(primaryOf(view), nameOf(view, primaryOf(view))),
  transfer_to_data: ({ facts }) => {
    const next = facts.view.members.find(
      (m) => isDataMember(m) && m.voter && facts.members.get(m.node_id)?.store.reach === "ok",
    );
    return transfer(next?.node_id, next?.name ?? "none is reachable");
  },
  transfer_to_voter: ({ facts }) => {
    const heir = heirOf(facts);
    return transfer(heir, nameOf(facts.view, heir));
  },
  found: ({ facts }) => {
    const seen = facts.members.get(facts.self)?.seen;
    const { mode } = facts.view;
    // Promoted like every other: to the timeline after those that its data know of.
    const timeline = (seen?.timeline ?? 1) + 1;
    const body = {
      node_id: facts.self,
      system_identifier: seen?.system_identifier,
      timeline,
      mode,
    };
    return propose("found", body, nameOf(facts.view, facts.self));
  },
  open_epoch: (reading) => {
    const { cause, reason } = causeOf(reading.facts, reading.primary);
    return openEpoch(reading, cause, reason);
  },
  open_for_request: openForRequest,
  open_after_hand_over: (reading) => {
    const { view } = reading.facts;
    const epoch = newest(view);
    const to = nameOf(view, epoch?.handover_to);
    const reason = `${nameOf(view, epoch?.node_id)} handed over to ${to}`;
    return openEpoch(reading, "switchover", reason, epoch?.handover_request ?? undefined);
  },
  give_up: (reading) => {
    const who = nameOf(reading.facts.view, primaryOf(reading.facts.view));
    const reason =
      reading.situation.health === "lost"
        ? `promotion failed: ${causeOf(reading.facts, reading.primary).reason}`
        : `${who} did not ${newest(reading.facts.view)?.state === "promoted" ? "open its gate" : "promote"} in time`;
    const request = newest(reading.facts.view)?.request_id ?? undefined;
    return openEpoch(reading, "promotion_failed", reason, request);
  },
  appoint: ({ facts, choice }) => {
    const { view } = facts;
    invariant(choice?.kind === "ready", "appoint without a choice");
    const body = {
      epoch: epochText(view.epochs[0]?.epoch),
      node_id: choice.nodeId,
      timeline: view.highest_timeline + 1,
      from_epoch: epochText(choice.historyEpoch),
      from_lsn: formatLsn(choice.lsn),
      old_fenced: oldIsFenced(facts),
      reason: choice.why,
      ...(choice.lostBytes === undefined ? {} : { lost_bytes: epochText(choice.lostBytes) }),
    };
    const lost = choice.lostBytes;
    const known = `acknowledged commits may be lost: ${lost} bytes of WAL are known to be`;
    const why = lost === undefined ? choice.why : `${choice.why}; ${known}`;
    return propose("appoint", { ...body, reason: why }, why);
  },
  promoted: ({ facts: { view, members } }) => {
    const seen = members.get(primaryOf(view) ?? 0)?.seen;
    invariant(seen?.switch_lsn != null && seen.stamp_lsn != null, "promoted without its LSNs");
    const body = {
      epoch: epochText(seen.epoch),
      switch_lsn: formatLsn(seen.switch_lsn),
      stamp_lsn: formatLsn(seen.stamp_lsn),
    };
    return propose("promoted", body, nameOf(view, primaryOf(view)));
  },
  serving: ({ facts: { view, gapMs } }) => {
    const epoch = newest(view);
    const founding = epoch?.cause === "founding";
    const body = {
      epoch: epochText(epoch?.epoch),
      write_gap_ms: founding || gapMs === undefined ? null : Math.round(gapMs),
    };
    return propose("serving", body, nameOf(view, epoch?.node_id));
  },
  hand_over: ({ facts: { view }, request }) => {
    invariant(request.step === "hand_over", "hand over without a request");
    const body = {
      epoch: epochText(newest(view)?.epoch),
      to: request.to,
      request_id: epochText(request.request.request_id),
    };
    return propose("hand_over", body, `to ${nameOf(view, request.to)}`);
  },
  keep_primary: ({ facts: { view, handedOver } }) => {
    const reason = handedOver?.problem ?? "the hand-over took too long";
    return propose("keep_primary", { epoch: epochText(newest(view)?.epoch), reason }, reason);
  },
  attached: ({ facts }) => {
    const id = attachedNow(facts);
    return propose("attached", { node_id: id }, nameOf(facts.view, id));
  },
  rule_next: ({ facts }) => {
    const wanted = ruleStep(facts);
    invariant(wanted.step === "next", "a change of the commit rule without a rule");
    const { rule } = wanted;
    const body = { version: epochText(facts.view.rule.version), k: rule.k, cohort: rule.cohort };
    return propose("rule_next", body, describeRule(rule));
  },
  rule_back: ({ facts: { view }, situation }) => {
    const why =
      situation.choice === "left_out" ? { reason: "it leaves out who is to be primary" } : {};
    const body = { version: epochText(view.rule.version), ...why };
    return propose("rule_back", body, describeRule(view.rule));
  },
  rule: ({ facts: { view } }) =>
    propose("rule", { version: epochText(view.rule.version) }, view.standby_names || "none"),
  formed: () => propose("formed", {}),
  remove: ({ facts }) => {
    const id = departing(facts);
    return propose("remove", { node_id: id }, nameOf(facts.view, id));
  },
  forget: ({ facts: { view } }) => {
    invariant(view.forget !== null, "nothing to forget");
    return propose("forget", view.forget);
  },
  run_request: ({ facts: { view }, request }) => {
    invariant(request.step === "start", "start without a request");
    const body = {
      request_id: epochText(request.request.request_id),
      state: "running",
      from_node: newest(view)?.node_id ?? newest(view)?.old_primary ?? null,
      epoch: epochText(request.epoch),
    };
    return propose("request_state", body, describe(request.request));
  },
  fail_request: ({ request }) => {
    invariant(request.step === "failed", "fail without a refusal");
    const { sqlstate, reason, hint } = request;
    const request_id = epochText(request.request.request_id);
    const body = { request_id, state: "failed", reason, sqlstate, hint };
    return propose("request_state", body, reason);
  },
  finish_request: finishRequest,
  say_blocked: ({ choice }) => {
    invariant(choice?.kind === "waiting", "blocked without a reason");
    return propose("event", { event: "failover_blocked", reason: choice.why }, choice.why);
  },
  say_held: ({ facts, primary }) => {
    const held = heldBack(facts, primary);
    invariant(held !== undefined, "held back by nothing");
    const node_id = primaryOf(facts.view);
    return propose("event", { event: "failover_held", node_id, reason: held.why }, held.why);
  },
};

function waitOrder({ facts, situation, choice, primary }: Reading): Order {
  if (situation.epoch === "opened" && choice?.kind === "waiting") return { why: choice.why };
  if (situation.health !== "fine") return { why: causeOrClass(facts, primary) };
  return {};
}

function causeOrClass(facts: Reading["facts"], primary: Reading["primary"]): string {
  const who = nameOf(facts.view, primaryOf(facts.view));
  if (primary === "store_gone") return `the control store of ${who} is gone`;
  if (primary === "worker_gone") return `the worker of ${who} is gone`;
  return causeOf(facts, primary).reason;
}

function openForRequest(reading: Reading): Order {
  const { request, facts, primary } = reading;
  invariant(request.step === "open_epoch", "failover without a request");
  const known = causeOrClass(facts, primary);
  return openEpoch(
    reading,
    "failover_request",
    `an operator asked: ${known}`,
    request.request.request_id,
  );
}

function finishRequest({ facts: { view }, request }: Reading): Order {
  invariant(request.step === "done", "finish without a request");
  const epoch = newest(view);
  const from = epoch?.old_primary ?? null;
  const reason = `${nameOf(view, epoch?.node_id)} is primary of epoch ${epoch?.epoch}`;
  const body = {
    request_id: epochText(request.request.request_id),
    state: "done",
    reason,
    from_node: from,
    to_node: epoch?.node_id,
    epoch: epochText(epoch?.epoch),
    write_gap_ms: epoch?.write_gap_ms ?? null,
  };
  return propose("request_state", body, reason);
}

function openEpoch(
  { facts: { view } }: Reading,
  cause: string,
  reason: string,
  request?: bigint,
): Order {
  const epoch = (newest(view)?.epoch ?? 0n) + 1n;
  const asked = request === undefined ? {} : { request_id: epochText(request) };
  return propose("open_epoch", { epoch: epochText(epoch), cause, reason, ...asked }, reason);
}

function describeRule({ k, cohort }: Rule): string {
  return `${k} of ${cohort.join(", ")}`;
}

function describe({ kind, args }: { kind: string; args: { target: NodeId | null } }): string {
  return args.target === null ? kind : `${kind} to node ${args.target}`;
}

function transfer(to: NodeId | undefined, why: string): Order {
  return to === undefined ? { why } : { why, transferTo: to };
}

function propose(kind: string, body: Command["body"], why?: string): Order {
  return { command: { kind, body }, ...(why === undefined ? {} : { why }) };
}

/** 64-bit numbers travel as text: JSON readers round past 2^53. */
function epochText(value: bigint | undefined): string {
  return (value ?? 0n).toString();
}
