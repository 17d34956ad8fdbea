/**
 * The control store's functions as the wire has them: named arguments in, rows as `pg` hands them out. What they do
 * is the twin's (test/oracle/twin), which the oracle holds to the SQL; only what that leaves out stands here.
 */
import { formatLsn, parseLsn } from "../../../src/core/ids.ts";
import type { Sender, VoteRequest } from "../../../src/db/peer.ts";
import { type Cluster, standbyNames, viewOf } from "../../oracle/twin/cluster.ts";
import { forgetNow } from "../../oracle/twin/forget.ts";
import { SqlError } from "../../oracle/twin/sql-error.ts";
import { checkLeader } from "../../oracle/twin/voice.ts";
import { heardPlaces, moveDue, places, refuseStranger, submit } from "./moves.ts";
import type { Row } from "./network.ts";
import type { Store } from "./store.ts";

export type Args = Readonly<Record<string, unknown>>;
type Call = (store: Store, args: Args) => readonly Row[];

const big = (value: unknown) => BigInt(value as string);
const sender = (args: Args): Sender => ({
  clusterId: String(args.p_cluster),
  nodeId: Number(args.p_from),
  incarnation: String(args.p_incarnation),
});
const ask = (args: Args): VoteRequest => ({
  term: big(args.p_term),
  lastTerm: big(args.p_last_term),
  lastIndex: big(args.p_last_index),
  counter:
    args.p_boot_id === null || args.p_boot_id === undefined
      ? undefined
      : { bootId: String(args.p_boot_id), heard: big(args.p_heard) },
});
const lsnText = (lsn: bigint | null) => (lsn === null ? null : formatLsn(lsn));

/** 64-bit numbers leave as text, as they do from PostgreSQL. */
function texts(row: object): Row {
  return Object.fromEntries(
    Object.entries(row).map(([key, value]) => [
      key,
      typeof value === "bigint" ? value.toString() : (value ?? null),
    ]),
  );
}

function epochJson(epoch: Cluster["epochs"][number]): Row {
  const { from_lsn, switch_lsn, stamp_lsn, ...rest } = epoch;
  return {
    ...texts(rest),
    reason: "",
    from_lsn: lsnText(from_lsn),
    switch_lsn: lsnText(switch_lsn),
    stamp_lsn: lsnText(stamp_lsn),
  };
}

/** The functions that peers call. */
export const PEER: Readonly<Record<string, Call>> = {
  "peer.hello": (store, args) => {
    checkLeader(store.acceptor.cluster, store.acceptor.identity, sender(args));
    const { bootId, heard } = store.acceptor.counter;
    const { node, incarnation } = store;
    const members = store.acceptor.cluster.members.map(({ node_id }) => node_id);
    return [{ node_id: node, incarnation, boot_id: bootId, heard: heard.toString(), members }];
  },
  "peer.rehearse": (store, args) => {
    refuseStranger(store, sender(args));
    return [{ said: "serving" }];
  },
  "peer.places": (store, args) => places(store, sender(args)),
  "peer.heartbeat": ({ acceptor }, args) => [
    texts(acceptor.heartbeat(sender(args), big(args.p_term))),
  ],
  "peer.pre_vote": ({ acceptor }, args) => [texts(acceptor.preVote(sender(args), ask(args)))],
  "peer.request_vote": ({ acceptor }, args) => [
    texts(acceptor.requestVote(sender(args), { ...ask(args), transfer: args.p_transfer === true })),
  ],
  "peer.append_entries": ({ acceptor }, args) => {
    const wire = JSON.parse(String(args.p_entries)) as WireEntry[];
    const entries = wire.map(({ i, t, k, c, s, b }) => ({
      index: BigInt(i),
      term: BigInt(t),
      kind: k,
      client: c,
      sequence: BigInt(s),
      body: b,
    }));
    const append = {
      term: big(args.p_term),
      prevIndex: big(args.p_prev_index),
      prevTerm: big(args.p_prev_term),
      entries,
      commit: big(args.p_commit),
    };
    return [texts(acceptor.appendEntries(sender(args), append))];
  },
  "peer.install_snapshot": ({ acceptor }, args) => {
    const ask = {
      leaderTerm: big(args.p_term),
      id: String(args.p_snapshot),
      index: big(args.p_index),
      term: big(args.p_index_term),
      hash: String(args.p_hash),
      part: Number(args.p_part),
      parts: Number(args.p_parts),
      rows: String(args.p_rows),
    };
    return [texts(acceptor.installSnapshot(sender(args), ask))];
  },
  "peer.take_lead": (store, args) => {
    const taken = store.acceptor.takeLead(sender(args), big(args.p_term));
    if (taken) store.notify("transfer");
    return [{ taken }];
  },
  "peer.report": ({ acceptor }, args) => {
    const { lsn, shutdown_lsn, ...rest } = acceptor.report(sender(args), big(args.p_epoch));
    return [{ ...texts(rest), lsn: lsnText(lsn), shutdown_lsn: lsnText(shutdown_lsn) }];
  },
  "peer.ask_lease": (store, args) => {
    const hurry = args.p_hurry === true;
    const reply = store.acceptor.askLease(sender(args), { nonce: big(args.p_nonce) });
    if (hurry) store.notify("lease");
    return [texts(reply)];
  },
  "peer.gossip": (store, args) => {
    store.acceptor.report(sender(args), 0n);
    store.seen.take(args.p_rows);
    const own = store.seen.own();
    return [{ own: own === null ? null : JSON.stringify(own) }];
  },
  "peer.suspect": (store, args) => {
    store.acceptor.report(sender(args), 0n);
    const row = JSON.parse(String(args.p_row));
    if (row.node_id !== Number(args.p_from)) {
      throw new SqlError("RF008", `node ${args.p_from} may only speak of itself`);
    }
    store.seen.take(JSON.stringify([row]));
    store.notify("suspect");
    return [{ suspect: "" }];
  },
  "peer.submit": (store, args) => {
    const proposal = { key: String(args.p_key), kind: String(args.p_kind) };
    submit(store, sender(args), { ...proposal, body: JSON.parse(String(args.p_body)) });
    return [{ submit: "" }];
  },
};

interface WireEntry {
  readonly i: number;
  readonly t: number;
  readonly k: string;
  readonly c: string;
  readonly s: number;
  readonly b: unknown;
}

/** Twin of the view `cluster.goal`, for this node. */
function goalOf({ node, incarnation, acceptor: { cluster } }: Store): readonly [string, string] {
  const epoch = cluster.epochs.at(-1);
  const own = cluster.members.find(({ node_id }) => node_id === node);
  if (cluster.left.get(node) === incarnation) return ["removed", "this node has left the cluster"];
  if (own === undefined) return ["none", "this node is no member yet"];
  if (own.data_port === null) return ["none", "a witness has no data server"];
  if (epoch === undefined) return ["none", "no primary was ever appointed"];
  if (epoch.state === "opened") return ["pledged", `epoch ${epoch.epoch} is being decided`];
  if (epoch.node_id !== node) {
    return ["standby", `node ${epoch.node_id} is primary of epoch ${epoch.epoch}`];
  }
  if (epoch.handover_to !== null) {
    return ["hand_over", `the primary role moves to node ${epoch.handover_to}`];
  }
  return ["primary", `appointed in epoch ${epoch.epoch}`];
}

/** Twin of `node.agent_view`. */
function agentView(store: Store): Row {
  const { acceptor, node, incarnation } = store;
  const { state, cluster, unlogged, identity } = acceptor;
  const epoch = cluster.epochs.at(-1);
  const [goal, why] = goalOf(store);
  const rule = cluster.nextRule ?? cluster.rule;
  return texts({
    node_id: node,
    cluster_id: identity.clusterId,
    incarnation,
    term: state.term,
    leader_id: state.leaderId,
    system_identifier: cluster.systemIdentifier,
    formed: cluster.formed,
    paused: cluster.pausedWhy !== null,
    pledge: state.pledge,
    followed: state.followed,
    epoch: epoch?.epoch ?? 0n,
    epoch_state: epoch?.state ?? "none",
    primary_id: epoch?.node_id,
    old_primary: epoch?.old_primary,
    goal,
    goal_why: why,
    timeline: epoch?.timeline,
    from_lsn: lsnText(epoch?.from_lsn ?? null),
    switch_lsn: lsnText(epoch?.switch_lsn ?? null),
    stamp_lsn: lsnText(epoch?.stamp_lsn ?? null),
    handover_to: epoch?.handover_to,
    old_fenced: epoch?.old_fenced ?? false,
    highest_timeline: Math.max(1, ...cluster.epochs.map(({ timeline }) => timeline ?? 1)),
    mode: cluster.mode,
    rule_version: cluster.ruleVersion + (cluster.nextRule === null ? 0n : 1n),
    rule_k: rule.k,
    rule_cohort: rule.cohort,
    standby_names: standbyNames(cluster),
    members: cluster.members.map((member) => ({
      ...member,
      clone_from: member.clone_from && !member.leaving,
    })),
    history: cluster.epochs
      .filter(({ node_id }) => node_id !== null)
      .map((one) => ({
        epoch: one.epoch.toString(),
        node_id: one.node_id,
        timeline: one.timeline,
        switch_lsn: formatLsn(one.switch_lsn ?? one.from_lsn ?? 0n),
        from_epoch: (one.from_epoch ?? 0n).toString(),
      })),
    reported:
      epoch !== undefined && state.pledge === epoch.epoch && unlogged.reports.has(epoch.epoch),
    handed_over: epoch !== undefined && unlogged.handedOver.has(epoch.epoch),
  });
}

function clusterView(store: Store): Row {
  const { acceptor, node, seen } = store;
  const { cluster, identity } = acceptor;
  const view = viewOf(cluster, { nodeId: node, clusterId: identity.clusterId });
  return {
    ...view,
    rule: texts(view.rule),
    epochs: cluster.epochs.slice(-5).toReversed().map(epochJson),
    requests: view.requests.map(texts),
    forget: forgetNow(cluster, acceptor.state.appliedIndex),
    observed: seen.rows(),
  };
}

function announcements({ acceptor: { cluster }, seen }: Store, after: bigint): readonly Row[] {
  const own = seen.own();
  if (own?.role !== "primary" || own.gate_open !== true) return [];
  const { events, eventsThrough } = cluster;
  const from = Math.max(Number(after) - eventsThrough, events.length - 20, 0);
  return events.slice(from).map(({ event }, place) => ({
    event_id: String(eventsThrough + from + place + 1),
    channel: "pg_replica_event",
    payload: event,
  }));
}

/** The functions that the own worker calls. */
export const OWN: Readonly<Record<string, Call>> = {
  "raft.sample": ({ acceptor }) => {
    const seen = acceptor.sample();
    return [
      texts({
        boot_id: seen.bootId,
        heard: seen.heard,
        term: seen.term,
        leader_id: seen.leaderId,
        last_index: seen.lastIndex,
        last_term: seen.lastTerm,
        commit_index: seen.commitIndex,
        applied_index: seen.appliedIndex,
        alarm: seen.alarm,
        transfer_term: seen.transferTerm,
        epoch: seen.epoch,
        primary_id: seen.primaryId,
        lease_asked: seen.leaseAsked,
        members: seen.members,
      }),
    ];
  },
  "raft.mark_silent": ({ acceptor }, args) => [
    { marked: acceptor.markSilent({ bootId: String(args.p_boot_id), heard: big(args.p_heard) }) },
  ],
  "raft.test_append": () => [{ test_append: "" }],
  "raft.read_log": ({ acceptor }, args) =>
    acceptor.readLog(big(args.p_from), Number(args.p_max_entries)).map(texts),
  "raft.term_at": ({ acceptor }, args) => [texts({ term: acceptor.termAt(big(args[0])) })],
  "raft.compact": ({ acceptor }, args) => [{ more: acceptor.compact(Number(args.p_entries)) }],
  "raft.take_snapshot": (store) => [texts(store.takeSnapshot())],
  "raft.snapshot_part": ({ snapshot }, args) => {
    const rows = snapshot?.id === args.p_id ? snapshot?.rows[Number(args.p_part) - 1] : undefined;
    return [{ rows: rows ?? null }];
  },
  "raft.drop_snapshot": (store, args) => {
    if (store.snapshot?.id === args.p_id) store.snapshot = undefined;
    return [{ drop_snapshot: "" }];
  },
  "raft.turn_gate": ({ acceptor }, args) => {
    const { proposals, ...turn } = acceptor.turnGate(Number(args.p_max));
    return [{ ...texts(turn), proposals: proposals.map(texts) }];
  },
  "raft.open_gate": ({ acceptor }, args) => {
    const ticket = (args.p_ticket ?? null) === null ? undefined : big(args.p_ticket);
    const answer = ticket === undefined ? undefined : { ticket, index: big(args.p_index) };
    return [{ more: acceptor.openGate(big(args.p_gate), answer) }];
  },
  "raft.outcomes": (store, args) => {
    const client = String(args.p_client);
    const rows: Record<string, string>[] = [];
    for (let sequence = big(args.p_first); sequence <= big(args.p_last); sequence += 1n) {
      const found = store.acceptor.outcome(client, sequence);
      if (found === undefined) continue;
      store.world.checks.answered(store, `${client}/${sequence}`, found);
      rows.push({ ...texts({ sequence }), log_index: `${found.index}`, outcome: found.outcome });
    }
    return rows;
  },
  "cluster.view": (store) => [{ view: clusterView(store) }],
  "node.agent_view": (store) => [{ view: agentView(store) }],
  "node.observe": (store, args) => {
    if (store.seen.observe(String(args.p_row))) store.notify("observed");
    return [{ observe: "" }];
  },
  "node.make_report": (store, args) => {
    const lsn = parseLsn(String(args.p_lsn));
    store.acceptor.makeReport(big(args.p_epoch), lsn);
    store.world.checks.reported(store, Number(args.p_epoch), Number(lsn));
    store.notify("reported");
    return [{ make_report: "" }];
  },
  "node.make_void_report": (store, args) => {
    store.acceptor.makeVoidReport(big(args.p_epoch), big(args.p_nothing_from));
    store.notify("reported");
    return [{ make_void_report: "" }];
  },
  "node.follow": (store, args) => {
    store.acceptor.follow(big(args.p_epoch));
    store.world.checks.followed(store, Number(args.p_epoch));
    return [{ follow: "" }];
  },
  "node.recall": (store, args) => {
    store.acceptor.recall(big(args.p_epoch));
    return [{ recall: "" }];
  },
  "node.hand_over_done": (store, args) => {
    const lsn = args.p_shutdown_lsn === null ? null : parseLsn(String(args.p_shutdown_lsn));
    const problem = args.p_problem === null ? null : String(args.p_problem);
    store.acceptor.handOverDone(big(args.p_epoch), lsn, problem);
    store.notify("handed_over");
    return [{ hand_over_done: "" }];
  },
  "node.data_life": ({ seen }) => [{ known: seen.dataLife }],
  "node.set_data_life": ({ seen }, args) => {
    seen.dataLife = args.p_known as string[];
    return [{ set_data_life: "" }];
  },
  "node.note_act": (store, args) => {
    const detail = JSON.parse(String(args.p_detail));
    store.seen.note({ event: String(args.p_event), reason: String(args.p_reason), detail });
    store.notify("act");
    return [{ note_act: "" }];
  },
  "node.set_progress": (store, args) => {
    store.seen.setProgress({ node_id: store.node, job: args.p_job, phase: args.p_phase });
    return [{ set_progress: "" }];
  },
  "node.clear_progress": (store) => {
    store.seen.setProgress(null);
    return [{ clear_progress: "" }];
  },
  "node.own_row": ({ seen }) => {
    const own = seen.own();
    return [{ own: own === null ? null : JSON.stringify(own) }];
  },
  "node.observed_rows": ({ seen }) => [{ rows: JSON.stringify(seen.shared()) }],
  "node.gossip": ({ seen }, args) => [{ news: seen.take(args.p_rows) }],
  "raft.echo_lease": ({ acceptor }, args) => {
    acceptor.echoLease(big(args.p_nonce));
    return [{ echo_lease: "" }];
  },
  "raft.confirm_reads": ({ acceptor }, args) => {
    acceptor.unlogged.reads.confirm({ ticket: big(args.p_ticket), index: big(args.p_index) });
    return [{ confirm_reads: "" }];
  },
  "node.move_due": (store) => moveDue(store),
  "node.heard_places": (store) => heardPlaces(store),
  "node.pending_acts": ({ seen }) => seen.pendingActs(),
  "node.announcements": (store, args) => announcements(store, big(args.p_after)),
};
