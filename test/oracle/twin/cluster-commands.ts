import type { Entry } from "../../../src/db/raft.ts";
import {
  type Cluster,
  type Effect,
  type EpochFacts,
  type RequestFacts,
  standbyNames,
} from "./cluster.ts";
import {
  type Body,
  big,
  type Command,
  done,
  int,
  lsnOf,
  memberOf,
  NO_EPOCH,
  newestOf,
  nextRequest,
  refused,
  text,
  withMember,
  withNewest,
} from "./effects.ts";
import { forget, isTooLate, set } from "./forget.ts";
import {
  addMember,
  closing,
  leave,
  move,
  readmit,
  register,
  remove,
  setMember,
  staying,
  voter,
} from "./member-commands.ts";
import { recover } from "./recover.ts";
import { entry, kvCompact, kvReset, kvSet } from "./service-commands.ts";
import { SqlError } from "./sql-error.ts";

const found: Command = (cluster, body) => {
  const id = int(body.node_id);
  if (cluster.epochs.length > 0) return refused(cluster, "already_founded");
  const member = memberOf(cluster, id);
  if (member === undefined || member.data_port === null) return refused(cluster, "unknown_member");
  const first: EpochFacts = {
    ...NO_EPOCH,
    epoch: 1n,
    state: "appointed",
    cause: "founding",
    node_id: id,
    timeline: body.timeline === undefined ? 2 : int(body.timeline),
    from_epoch: 0n,
  };
  const changes = {
    systemIdentifier: text(body.system_identifier),
    rule: { k: 0, cohort: [member.node_id] },
    mode: (text(body.mode) ?? cluster.mode) as Cluster["mode"],
    epochs: [first],
  };
  const event = { event: "cluster_founded", node_id: id, to_state: "primary" };
  return { ...done(cluster, changes, event), pledge: 1n };
};

const openEpoch: Command = (cluster, body) => {
  const newest = newestOf(cluster);
  const epoch = big(body.epoch);
  if (newest === undefined || epoch !== newest.epoch + 1n) return refused(cluster, "stale_epoch");
  const old = cluster.epochs.findLast(({ node_id }) => node_id !== null)?.node_id ?? null;
  const { epochs } = withNewest(cluster, { state: "superseded" });
  const opened: EpochFacts = {
    ...NO_EPOCH,
    epoch,
    cause: String(body.cause),
    old_primary: old,
    request_id: big(body.request_id),
  };
  const event = { event: "epoch_opened", node_id: old, from_state: newest.state };
  const effect = done(cluster, { epochs: [...epochs, opened] }, { ...event, to_state: "opened" });
  return { ...effect, pledge: epoch };
};

const appoint: Command = (cluster, body) => {
  const newest = newestOf(cluster);
  const timeline = int(body.timeline);
  if (newest === undefined || newest.epoch !== big(body.epoch))
    return refused(cluster, "stale_epoch");
  if (newest.state !== "opened") return refused(cluster, "not_opened");
  const used = Math.max(...cluster.epochs.map((one) => one.timeline ?? 0));
  if ((timeline ?? 0) <= used) return refused(cluster, "timeline_used");
  const id = int(body.node_id);
  const changes = withNewest(cluster, {
    state: "appointed",
    node_id: id,
    timeline,
    from_epoch: big(body.from_epoch),
    from_lsn: lsnOf(body.from_lsn),
    old_fenced: body.old_fenced === true,
  });
  const event = { event: "primary_appointed", node_id: id, from_state: "opened" };
  return staying(done(cluster, changes, { ...event, to_state: "appointed" }), id);
};

/** A step of the newest epoch from one state to the next. */
function step(
  from: EpochFacts["state"],
  to: EpochFacts["state"],
  event: string,
  changes: (body: Body) => Partial<EpochFacts>,
): Command {
  return (cluster, body) => {
    const newest = newestOf(cluster);
    if (newest === undefined || newest.epoch !== big(body.epoch))
      return refused(cluster, "stale_epoch");
    if (newest.state !== from) return refused(cluster, `not_${from}`);
    return done(cluster, withNewest(cluster, { ...changes(body), state: to }), {
      event,
      node_id: newest.node_id,
      from_state: from,
      to_state: to,
    });
  };
}

const promoted = step("appointed", "promoted", "primary_promoted", (body) => ({
  switch_lsn: lsnOf(body.switch_lsn),
  stamp_lsn: lsnOf(body.stamp_lsn),
}));

const takesWrites = step("promoted", "serving", "primary_serving", (body) => ({
  write_gap_ms: int(body.write_gap_ms),
}));

const serving: Command = (cluster, body, index, term) => {
  const effect = takesWrites(cluster, body, index, term);
  if (effect.outcome !== "ok") return effect;
  const primary = newestOf(effect.cluster)?.node_id ?? null;
  const attached = withMember(effect.cluster, primary, { state: "attached" });
  return { ...effect, cluster: { ...effect.cluster, ...attached } };
};

const handOver: Command = (cluster, body) => {
  const newest = newestOf(cluster);
  if (newest === undefined || newest.epoch !== big(body.epoch))
    return refused(cluster, "stale_epoch");
  if (newest.state !== "serving") return refused(cluster, "not_serving");
  if (newest.handover_to !== null) return refused(cluster, "under_way");
  const changes = { handover_to: int(body.to), handover_request: big(body.request_id) };
  return done(cluster, withNewest(cluster, changes), {
    event: "handover_started",
    node_id: newest.node_id,
    from_state: "serving",
    to_state: "hand_over",
  });
};

const keepPrimary: Command = (cluster, body) => {
  const newest = newestOf(cluster);
  if (newest === undefined || newest.epoch !== big(body.epoch))
    return refused(cluster, "stale_epoch");
  if (newest.handover_to === null) return refused(cluster, "not_under_way");
  const changes = withNewest(cluster, { handover_to: null, handover_request: null });
  const effect = done(cluster, changes, {
    event: "handover_cancelled",
    node_id: newest.node_id,
    from_state: "hand_over",
    to_state: "serving",
  });
  return { ...effect, keptPrimary: newest.epoch };
};

const attached: Command = (cluster, body) => {
  const id = int(body.node_id);
  const member = memberOf(cluster, id);
  if (member === undefined) return refused(cluster, "unknown_member");
  if (member.state === "attached") return done(cluster, {});
  const event = { event: "member_attached", node_id: id, from_state: "registered" };
  const changes = withMember(cluster, id, { state: "attached" });
  return closing(done(cluster, changes, { ...event, to_state: "attached" }));
};

const ruleNext: Command = (cluster, body) => {
  if (cluster.ruleVersion !== big(body.version)) return refused(cluster, "stale_version");
  const cohort = (body.cohort as unknown[]).map(Number).sort((a, b) => a - b);
  const k = Number(body.k);
  const { nextRule: pending } = cluster;
  const lowered = pending?.cohort.join() === cohort.join() && k < pending.k;
  if (pending !== null && !lowered) return refused(cluster, "under_way");
  const ruleVersion = cluster.ruleVersion + (pending === null ? 0n : 1n);
  const changes = { ruleVersion, nextRule: { k, cohort } };
  const to_state = standbyNames({ ...cluster, ...changes });
  return done(cluster, changes, { event: "rule_changing", to_state });
};

const ruleBack: Command = (cluster, body) => {
  if (cluster.ruleVersion !== big(body.version)) return refused(cluster, "stale_version");
  if (cluster.nextRule === null) return refused(cluster, "not_under_way");
  const ruleVersion = cluster.ruleVersion + 1n;
  const changes = { ruleVersion, rule: cluster.nextRule, nextRule: cluster.rule };
  const to_state = standbyNames({ ...cluster, ...changes });
  return done(cluster, changes, { event: "rule_turned_back", to_state });
};

const rule: Command = (cluster, body) => {
  if (cluster.ruleVersion !== big(body.version)) return refused(cluster, "stale_version");
  if (cluster.nextRule === null) return refused(cluster, "not_under_way");
  const ruleVersion = cluster.ruleVersion + 1n;
  const changes = { ruleVersion, rule: cluster.nextRule, nextRule: null };
  const to_state = standbyNames({ ...cluster, ...changes });
  return closing(done(cluster, changes, { event: "rule_changed", to_state }));
};

const request: Command = (cluster, body) => {
  if (cluster.requests.some(({ key }) => key === body.key)) return done(cluster, {});
  const row: RequestFacts = {
    request_id: nextRequest(cluster),
    key: String(body.key),
    kind: body.kind as RequestFacts["kind"],
    state: "waiting",
    args: body.args as RequestFacts["args"],
    from_node: null,
    to_node: null,
    epoch: null,
    sqlstate: null,
    write_gap_ms: null,
  };
  const event = { event: "request_made", to_state: "waiting" };
  return done(cluster, { requests: [...cluster.requests, row] }, event);
};

/** Change one unfinished request, if it is there in one of the states. */
function changeRequest(
  cluster: Cluster,
  body: Body,
  states: readonly string[],
  change: (row: RequestFacts) => RequestFacts,
): { requests: readonly RequestFacts[]; row: RequestFacts } | undefined {
  const id = big(body.request_id);
  const row = cluster.requests.find((one) => one.request_id === id && states.includes(one.state));
  if (row === undefined) return undefined;
  const changed = change(row);
  return {
    requests: cluster.requests.map((one) => (one === row ? changed : one)),
    row: changed,
  };
}

const requestState: Command = (cluster, body) => {
  const changed = changeRequest(cluster, body, ["waiting", "running"], (row) => ({
    ...row,
    state: body.state as RequestFacts["state"],
    from_node: int(body.from_node) ?? row.from_node,
    to_node: int(body.to_node) ?? row.to_node,
    epoch: big(body.epoch) ?? row.epoch,
    sqlstate: text(body.sqlstate) ?? row.sqlstate,
    write_gap_ms: int(body.write_gap_ms) ?? row.write_gap_ms,
  }));
  if (changed === undefined) return refused(cluster, "finished");
  const { requests, row } = changed;
  if (row.state !== "done" && row.state !== "failed") return done(cluster, { requests });
  const event = { event: "request_finished", node_id: row.to_node, from_state: "running" };
  return done(cluster, { requests }, { ...event, to_state: row.state });
};

const cancel: Command = (cluster, body) => {
  const changed = changeRequest(cluster, body, ["waiting"], (row) => ({ ...row, state: "failed" }));
  if (changed === undefined) return refused(cluster, "not_waiting");
  const event = { event: "request_finished", from_state: "waiting", to_state: "failed" };
  return done(cluster, { requests: changed.requests }, event);
};

const formed: Command = (cluster) => {
  if (cluster.formed) return done(cluster, {});
  const event = { event: "cluster_formed", from_state: "forming", to_state: "formed" };
  return done(cluster, { formed: true }, event);
};

const resume: Command = (cluster) =>
  cluster.pausedWhy === null
    ? done(cluster, {})
    : done(cluster, { pausedWhy: null }, { event: "resumed", from_state: "paused" });

/** By the kind of the entry. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  noop: (cluster, { node_id }) =>
    done(cluster, {}, { event: "leader_elected", node_id: int(node_id), to_state: "leader" }),
  register,
  readmit,
  voter,
  add_member: addMember,
  leave,
  remove,
  move,
  set_member: setMember,
  found,
  open_epoch: openEpoch,
  appoint,
  promoted,
  serving,
  hand_over: handOver,
  keep_primary: keepPrimary,
  attached,
  rule_next: ruleNext,
  rule_back: ruleBack,
  recover,
  rule,
  formed,
  pause: (cluster, { why }) =>
    done(
      cluster,
      { pausedWhy: text(why) ?? "no reason given" },
      { event: "paused", to_state: "paused" },
    ),
  resume,
  request,
  request_state: requestState,
  cancel,
  event: (cluster, { event, node_id, from_state, to_state }) =>
    done(
      cluster,
      {},
      {
        event: String(event),
        node_id: int(node_id),
        from_state: text(from_state),
        to_state: text(to_state),
      },
    ),
  entry,
  kv_set: kvSet,
  kv_compact: kvCompact,
  kv_reset: kvReset,
  set,
  forget,
};

/** cluster.apply. Throws SqlError for an entry that cannot be applied. */
export function apply(cluster: Cluster, committed: Entry): Omit<Effect, "outcome"> {
  const { index, kind, term } = committed;
  const key = `${committed.client}/${committed.sequence}`;
  if (cluster.proposals.has(key)) return { cluster };
  const body = committed.body as Record<string, unknown>;
  const answered = (after: Cluster, outcome: string): Cluster => ({
    ...after,
    proposals: new Map(after.proposals).set(key, { index, outcome }),
  });
  if (isTooLate(cluster, big(body.since))) return { cluster: answered(cluster, "too_late") };
  const command = COMMANDS[kind];
  if (command === undefined) {
    throw new SqlError("RF015", `command ${kind} is unknown to this version`);
  }
  const { outcome, ...effect } = command(cluster, body, index, term);
  return { ...effect, cluster: answered(effect.cluster, outcome) };
}
