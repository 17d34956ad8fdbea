/** Twin of the schemas `raft`, `cluster` and `node` as the own worker calls them. */
import { DatabaseError } from "../adapters/pg.ts";
import { type Args, termAt } from "./acceptor.ts";
import type { Row } from "./network.ts";
import type { Store } from "./store.ts";
import { newestEpoch, standbyNames } from "./store-state.ts";
import { parseLsn } from "./wal.ts";

const num = (value: unknown) => Number(value);

/** The newest epoch whose WAL reaches into what this node holds up to an LSN. */
function historyEpoch({ durable }: Store, lsn: string): number {
  const reached = durable.epochs.filter(
    (one) =>
      one.epoch <= durable.followed && one.node_id !== null && parseLsn(one.from_lsn ?? "0/0") < parseLsn(lsn),
  );
  return Math.max(0, ...reached.map(({ epoch }) => epoch));
}

function goalOf({ durable }: Store): readonly [string, string] {
  const { identity, members } = durable;
  const epoch = newestEpoch(durable);
  const own = members.find(({ node_id }) => node_id === identity.node_id);
  if (own === undefined || own.data_port === null) return ["none", "a witness has no data server"];
  if (epoch === undefined) return ["none", "no primary was ever appointed"];
  if (epoch.state === "opened") return ["pledged", `epoch ${epoch.epoch} is being decided`];
  if (epoch.node_id !== own.node_id) return ["standby", `node ${epoch.node_id} is primary of epoch ${epoch.epoch}`];
  if (epoch.handover_to !== null) return ["hand_over", `the primary role moves to node ${epoch.handover_to}`];
  return ["primary", `appointed in epoch ${epoch.epoch}`];
}

function agentView(store: Store): Row {
  const { durable, unlogged } = store;
  const { identity, hard, cluster, members, epochs } = durable;
  const epoch = newestEpoch(durable);
  const [goal, why] = goalOf(store);
  return {
    node_id: identity.node_id,
    cluster_id: identity.cluster_id,
    incarnation: identity.incarnation,
    term: hard.current_term,
    leader_id: hard.leader_id,
    system_identifier: cluster.system_identifier,
    formed: cluster.formed,
    paused: cluster.paused_why !== null,
    pledge: durable.pledge,
    followed: durable.followed,
    epoch: epoch?.epoch ?? 0,
    epoch_state: epoch?.state ?? "none",
    primary_id: epoch?.node_id ?? null,
    old_primary: epoch?.old_primary ?? null,
    goal,
    goal_why: why,
    timeline: epoch?.timeline ?? null,
    from_lsn: epoch?.from_lsn ?? null,
    switch_lsn: epoch?.switch_lsn ?? null,
    stamp_lsn: epoch?.stamp_lsn ?? null,
    handover_to: epoch?.handover_to ?? null,
    highest_timeline: highestTimeline(store),
    rule_k: cluster.next_k ?? cluster.rule_k,
    rule_cohort: cluster.next_cohort ?? cluster.rule_cohort,
    standby_names: standbyNames(durable),
    members,
    history: epochs
      .filter(({ node_id }) => node_id !== null)
      .map((one) => ({
        epoch: one.epoch,
        node_id: one.node_id,
        timeline: one.timeline,
        switch_lsn: one.switch_lsn ?? one.from_lsn ?? "0/0",
      })),
    reported: epoch !== undefined && durable.pledge === epoch.epoch && unlogged.reports.has(epoch.epoch),
    handed_over: epoch !== undefined && unlogged.handedOver.has(epoch.epoch),
  };
}

function highestTimeline({ durable }: Store): number {
  return Math.max(1, ...durable.epochs.map(({ timeline }) => timeline ?? 1));
}

function clusterView(store: Store): Row {
  const { durable, unlogged } = store;
  const { identity, cluster, members, epochs, requests } = durable;
  return {
    node_id: identity.node_id,
    cluster_id: identity.cluster_id,
    system_identifier: cluster.system_identifier,
    formed: cluster.formed,
    paused_why: cluster.paused_why,
    mode: cluster.mode,
    rule: { version: cluster.rule_version, k: cluster.rule_k, cohort: cluster.rule_cohort },
    next_rule: cluster.next_k === null ? null : { k: cluster.next_k, cohort: cluster.next_cohort },
    standby_names: standbyNames(durable),
    members,
    epochs: epochs.slice(-5).reverse(),
    highest_timeline: highestTimeline(store),
    requests: requests.filter(({ state }) => state === "waiting" || state === "running"),
    observed: [...unlogged.observed.values()].sort((a, b) => a.node_id - b.node_id),
  };
}

function sample({ durable: { hard }, unlogged }: Store): readonly Row[] {
  return [
    {
      boot_id: unlogged.bootId,
      heard: String(unlogged.heard),
      term: String(hard.current_term),
      leader_id: hard.leader_id,
      last_index: String(hard.last_index),
      last_term: String(hard.last_term),
      commit_index: String(hard.commit_index),
      applied_index: String(hard.applied_index),
      alarm: hard.alarm,
      inbox: String(unlogged.inbox.length),
      transfer_term: unlogged.transfer === undefined ? null : String(unlogged.transfer),
    },
  ];
}

const DEFAULT_ROW = {
  role: "none",
  state: "stopped",
  epoch: 0,
  writable: false,
  gate_open: false,
  attached: [],
  gone: false,
  hung: false,
  raft_role: "unknown",
};
const WAKING = [
  "role", "state", "epoch", "writable", "gate_open", "switch_lsn", "stamp_lsn", "attached",
  "rule_in_force", "problem", "gone", "hung", "system_identifier",
] as const; // biome-ignore format: as in node.observe

function observe(store: Store, args: Args): readonly Row[] {
  const { durable, unlogged } = store;
  const node_id = durable.identity.node_id;
  const before = unlogged.observed.get(node_id);
  durable.beats += 1;
  const row = {
    ...DEFAULT_ROW,
    ...JSON.parse(String(args.p_row)),
    node_id,
    beat: durable.beats,
    observed_at: store.displayTime(),
  };
  unlogged.observed.set(node_id, row);
  const moved = WAKING.some((name) => JSON.stringify(before?.[name]) !== JSON.stringify(row[name]));
  if (moved) store.notify("observed");
  return [{ observe: "" }];
}

function makeReport(store: Store, args: Args): readonly Row[] {
  const epoch = num(args.p_epoch);
  const lsn = String(args.p_lsn);
  if (epoch !== store.durable.pledge) {
    throw new DatabaseError("RF010", `the pledge is for epoch ${store.durable.pledge}, not ${epoch}`);
  }
  const report = { history_epoch: historyEpoch(store, lsn), lsn, evidence: String(args.p_evidence) };
  store.unlogged.reports.set(epoch, report);
  store.world.checks.reported(store, epoch, parseLsn(lsn));
  store.notify("reported");
  return [{ make_report: "" }];
}

function follow(store: Store, args: Args): readonly Row[] {
  const epoch = num(args.p_epoch);
  const { durable, unlogged } = store;
  if (epoch < durable.pledge) {
    throw new DatabaseError("RF010", `epoch ${epoch} is below the pledge for epoch ${durable.pledge}`);
  }
  durable.followed = Math.max(durable.followed, epoch);
  for (const one of [...unlogged.reports.keys()]) if (one <= epoch) unlogged.reports.delete(one);
  store.world.checks.followed(store, epoch);
  return [{ follow: "" }];
}

function pendingActs(store: Store): readonly Row[] {
  const { durable } = store;
  durable.acts = durable.acts.filter(({ key }) => !durable.proposals.has(`${key}:1`));
  return durable.acts.slice(0, 20).map(({ key, event, reason, detail }) => ({
    key,
    body: { node_id: durable.identity.node_id, event, reason, detail, at: store.displayTime() },
  }));
}

function announcements({ durable, unlogged }: Store, after: number): readonly Row[] {
  const own = unlogged.observed.get(durable.identity.node_id);
  if (own?.role !== "primary" || own.gate_open !== true) return [];
  return durable.events
    .filter(({ event_id }) => event_id > after)
    .slice(-20)
    .map((event) => ({ event_id: String(event.event_id), channel: "pg_replica_event", payload: event.event }));
}

/** The functions that the own worker calls. */
export const OWN: Readonly<Record<string, (store: Store, args: Args) => readonly Row[]>> = {
  "raft.sample": sample,
  "raft.mark_silent": (store, args) => {
    const { unlogged } = store;
    const same = args.p_boot_id === unlogged.bootId && num(args.p_heard) === unlogged.heard;
    if (same) unlogged.silence = { boot_id: unlogged.bootId, heard: unlogged.heard };
    return [{ marked: same }];
  },
  "raft.test_append": () => [{ test_append: "" }],
  "raft.read_log": ({ durable }, args) => {
    const from = num(args.p_from);
    return durable.log.slice(from - 1, from - 1 + num(args.p_max_entries)).map((entry) => ({
      ...entry,
      index: String(entry.index),
      term: String(entry.term),
      sequence: String(entry.sequence),
    }));
  },
  "raft.term_at": (store, args) => {
    const term = termAt(store, num(args[0]));
    return [{ term: term === null ? null : String(term) }];
  },
  "raft.take_inbox": ({ unlogged }, args) =>
    unlogged.inbox.splice(0, num(args.p_max)).map((one) => ({ ...one, sequence: String(one.sequence) })),
  "raft.outcome": (store, args) => {
    const found = store.durable.proposals.get(`${args.p_client}:${num(args.p_sequence)}`);
    if (found === undefined) return [];
    store.world.checks.answered(store, `${args.p_client}:${num(args.p_sequence)}`, found);
    return [{ log_index: String(found.log_index), outcome: found.outcome }];
  },
  "cluster.view": (store) => [{ view: clusterView(store) }],
  "node.agent_view": (store) => [{ view: agentView(store) }],
  "node.observe": observe,
  "node.make_report": makeReport,
  "node.follow": follow,
  "node.hand_over_done": (store, args) => {
    store.unlogged.handedOver.set(num(args.p_epoch), {
      shutdown_lsn: args.p_shutdown_lsn === null ? null : String(args.p_shutdown_lsn),
      problem: args.p_problem === null ? null : String(args.p_problem),
    });
    store.notify("handed_over");
    return [{ hand_over_done: "" }];
  },
  "node.note_act": (store, args) => {
    store.durable.acts.push({
      key: store.uuid(),
      event: String(args.p_event),
      reason: String(args.p_reason),
      detail: JSON.parse(String(args.p_detail)),
    });
    store.notify("act");
    return [{ note_act: "" }];
  },
  "node.set_progress": (store, args) => {
    const { node_id } = store.durable.identity;
    store.unlogged.progress.set(node_id, { node_id, job: args.p_job, phase: args.p_phase });
    return [{ set_progress: "" }];
  },
  "node.clear_progress": (store) => {
    store.unlogged.progress.delete(store.durable.identity.node_id);
    return [{ clear_progress: "" }];
  },
  "node.own_row": (store) => {
    const own = store.ownRow();
    return [{ own: own === null ? null : JSON.stringify(own) }];
  },
  "node.observed_rows": (store) => {
    const { node_id } = store.durable.identity;
    const all = [...store.unlogged.observed.values()].map((row) =>
      row.node_id === node_id ? store.ownRow() : { ...row, progress: store.unlogged.progress.get(row.node_id) ?? null },
    );
    return [{ rows: JSON.stringify(all) }];
  },
  "node.gossip": (store, args) => {
    store.takeGossip(args.p_rows);
    return [{ gossip: "" }];
  },
  "node.pending_acts": pendingActs,
  "node.announcements": (store, args) => announcements(store, num(args.p_after)),
};
