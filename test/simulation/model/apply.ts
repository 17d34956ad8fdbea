/** Twin of `cluster.apply` and its functions: a pure function of the entry and the replicated state (H62). */
import { type Body, type Durable, type EpochRow, type LogEntry, newestEpoch } from "./store-state.ts";

type Apply = (state: Durable, term: number, body: Body) => string;

export class UnknownCommand extends Error {
  override readonly name = "UnknownCommand";
}

function note(state: Durable, term: number, event: string, node: number | null, reason: string): void {
  const epoch = newestEpoch(state)?.epoch ?? 0;
  const event_id = (state.events.at(-1)?.event_id ?? 0) + 1;
  state.events.push({ event_id, term, epoch, event, node_id: node, reason });
  // Only the newest are ever read here.
  if (state.events.length > 200) state.events.splice(0, 100);
}

const number = (value: unknown): number | null =>
  value === undefined || value === null ? null : Number(value);
const text = (value: unknown): string | null =>
  value === undefined || value === null ? null : String(value);

const APPLY: Readonly<Record<string, Apply>> = {
  noop(state, term, body) {
    note(state, term, "leader_elected", number(body.node_id), `won term ${term}`);
    return "ok";
  },
  register(state, term, body) {
    const member = state.members.find(({ node_id }) => node_id === body.node_id);
    if (member === undefined) return "unknown_member";
    if (member.incarnation !== null && member.incarnation !== body.incarnation) {
      return "incarnation_differs";
    }
    const first = member.incarnation === null;
    member.incarnation = String(body.incarnation);
    if (member.state === "initial") member.state = "registered";
    if (first) note(state, term, "member_registered", member.node_id, "spoke for the first time");
    return "ok";
  },
  found(state, term, body) {
    if (state.epochs.length > 0) return "already_founded";
    const node = Number(body.node_id);
    const member = state.members.find(({ node_id }) => node_id === node);
    if (member === undefined || member.data_port === null) return "unknown_member";
    Object.assign(state.cluster, {
      system_identifier: text(body.system_identifier),
      rule_k: 0,
      rule_cohort: [node],
    });
    state.epochs.push(
      epochRow({ epoch: 1, state: "appointed", cause: "founding", term, node_id: node, timeline: 2, from_epoch: 0 }),
    );
    state.pledge = Math.max(state.pledge, 1);
    note(state, term, "cluster_founded", node, "initialised the cluster");
    return "ok";
  },
  open_epoch(state, term, body) {
    const newest = newestEpoch(state);
    const epoch = Number(body.epoch);
    if (newest === undefined || epoch !== newest.epoch + 1) return "stale_epoch";
    const old = state.epochs.findLast(({ node_id }) => node_id !== null)?.node_id ?? null;
    newest.state = "superseded";
    state.epochs.push(
      epochRow({
        epoch,
        state: "opened",
        cause: String(body.cause),
        reason: String(body.reason),
        term,
        old_primary: old,
        request_id: number(body.request_id),
      }),
    );
    if (state.pledge < epoch) state.pledge = epoch;
    note(state, term, "epoch_opened", old, String(body.reason));
    return "ok";
  },
  appoint(state, term, body) {
    const newest = newestEpoch(state);
    const timeline = Number(body.timeline);
    if (newest === undefined || newest.epoch !== Number(body.epoch)) return "stale_epoch";
    if (newest.state !== "opened") return "not_opened";
    if (timeline <= Math.max(...state.epochs.map((one) => one.timeline ?? 0))) return "timeline_used";
    Object.assign(newest, {
      state: "appointed",
      node_id: Number(body.node_id),
      timeline,
      from_epoch: number(body.from_epoch),
      from_lsn: text(body.from_lsn),
    });
    note(state, term, "primary_appointed", newest.node_id, String(body.reason));
    return "ok";
  },
  promoted(state, term, body) {
    const newest = newestEpoch(state);
    if (newest === undefined || newest.epoch !== Number(body.epoch)) return "stale_epoch";
    if (newest.state !== "appointed") return "not_appointed";
    Object.assign(newest, {
      state: "promoted",
      switch_lsn: text(body.switch_lsn),
      stamp_lsn: text(body.stamp_lsn),
    });
    note(state, term, "primary_promoted", newest.node_id, `on timeline ${newest.timeline}`);
    return "ok";
  },
  serving(state, term, body) {
    const newest = newestEpoch(state);
    if (newest === undefined || newest.epoch !== Number(body.epoch)) return "stale_epoch";
    if (newest.state !== "promoted") return "not_promoted";
    newest.state = "serving";
    newest.write_gap_ms = number(body.write_gap_ms);
    const member = state.members.find(({ node_id }) => node_id === newest.node_id);
    if (member !== undefined) member.state = "attached";
    note(state, term, "primary_serving", newest.node_id, "takes writes");
    return "ok";
  },
  hand_over(state, term, body) {
    const newest = newestEpoch(state);
    if (newest === undefined || newest.epoch !== Number(body.epoch)) return "stale_epoch";
    if (newest.state !== "serving") return "not_serving";
    if (newest.handover_to !== null) return "under_way";
    newest.handover_to = number(body.to);
    newest.handover_request = number(body.request_id);
    note(state, term, "handover_started", newest.node_id, `drains for node ${body.to}`);
    return "ok";
  },
  keep_primary(state, term, body) {
    const newest = newestEpoch(state);
    if (newest === undefined || newest.epoch !== Number(body.epoch)) return "stale_epoch";
    if (newest.handover_to === null) return "not_under_way";
    newest.handover_to = null;
    newest.handover_request = null;
    note(state, term, "handover_cancelled", newest.node_id, String(body.reason));
    return "ok";
  },
  attached(state, term, body) {
    const member = state.members.find(({ node_id }) => node_id === Number(body.node_id));
    if (member === undefined) return "unknown_member";
    if (member.state === "attached") return "ok";
    member.state = "attached";
    note(state, term, "member_attached", member.node_id, "streams from the primary");
    return "ok";
  },
  rule_next({ cluster, ...state }, term, body) {
    if (cluster.rule_version !== Number(body.version)) return "stale_version";
    if (cluster.next_k !== null) return "under_way";
    cluster.next_k = Number(body.k);
    cluster.next_cohort = [...(body.cohort as number[])].sort((a, b) => a - b);
    note({ cluster, ...state }, term, "rule_changing", null, `${body.k} of ${body.cohort}`);
    return "ok";
  },
  rule({ cluster, ...state }, term, body) {
    if (cluster.rule_version !== Number(body.version)) return "stale_version";
    if (cluster.next_k === null || cluster.next_cohort === null) return "not_under_way";
    cluster.rule_version += 1;
    cluster.rule_k = cluster.next_k;
    cluster.rule_cohort = cluster.next_cohort;
    cluster.next_k = null;
    cluster.next_cohort = null;
    note({ cluster, ...state }, term, "rule_changed", null, "seen in force on the primary");
    return "ok";
  },
  formed(state, term) {
    if (!state.cluster.formed) note(state, term, "cluster_formed", null, "every initial member has attached");
    state.cluster.formed = true;
    return "ok";
  },
  pause(state, term, body) {
    state.cluster.paused_why = String(body.why ?? "no reason given");
    note(state, term, "paused", null, state.cluster.paused_why);
    return "ok";
  },
  resume(state, term) {
    if (state.cluster.paused_why !== null) note(state, term, "resumed", null, "failover is on again");
    state.cluster.paused_why = null;
    return "ok";
  },
  request(state, term, body) {
    if (state.requests.some(({ key }) => key === body.key)) return "ok";
    const request_id = Math.max(0, ...state.requests.map((one) => one.request_id)) + 1;
    state.requests.push({
      request_id,
      key: String(body.key),
      kind: String(body.kind),
      state: "waiting",
      args: body.args,
      from_node: null,
      to_node: null,
      epoch: null,
      reason: null,
    });
    note(state, term, "request_made", null, `${body.by} asked for a ${body.kind}`);
    return "ok";
  },
  request_state(state, term, body) {
    const found = state.requests.find(({ request_id }) => request_id === Number(body.request_id));
    if (found === undefined || !["waiting", "running"].includes(found.state)) return "finished";
    found.state = String(body.state);
    found.reason = text(body.reason) ?? found.reason;
    found.from_node = number(body.from_node) ?? found.from_node;
    found.to_node = number(body.to_node) ?? found.to_node;
    found.epoch = number(body.epoch) ?? found.epoch;
    if (["done", "failed"].includes(found.state)) {
      note(state, term, "request_finished", found.to_node, found.reason ?? found.state);
    }
    return "ok";
  },
  cancel(state, term, body) {
    const found = state.requests.find(({ request_id }) => request_id === Number(body.request_id));
    if (found?.state !== "waiting") return "not_waiting";
    found.state = "failed";
    found.reason = "cancelled";
    note(state, term, "request_finished", null, "cancelled");
    return "ok";
  },
  event(state, term, body) {
    note(state, term, String(body.event), number(body.node_id), String(body.reason));
    return "ok";
  },
};

function epochRow(row: Partial<EpochRow> & Pick<EpochRow, "epoch" | "state" | "cause" | "term">): EpochRow {
  return {
    reason: "",
    old_primary: null,
    node_id: null,
    timeline: null,
    from_lsn: null,
    from_epoch: null,
    switch_lsn: null,
    stamp_lsn: null,
    request_id: null,
    handover_to: null,
    handover_request: null,
    write_gap_ms: null,
    ...row,
  };
}

/** Apply one committed entry; undefined when it was applied before (H60). Throws on a command nobody knows. */
export function applyEntry(state: Durable, entry: LogEntry): string | undefined {
  const key = `${entry.client}:${entry.sequence}`;
  if (state.proposals.has(key)) return undefined;
  const apply = APPLY[entry.kind];
  if (apply === undefined) throw new UnknownCommand(`command ${entry.kind} is unknown to this version`);
  const outcome = apply(state, entry.term, entry.body);
  state.proposals.set(key, { log_index: entry.index, outcome });
  return outcome;
}
