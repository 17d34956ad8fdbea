/** The schema `peer`: the wire protocol between nodes. One function per SQL function, one call per transaction. */
import { z } from "zod";
import type { Counter } from "../core/counters.ts";
import type { Epoch, LogIndex, NodeId, Term } from "../core/ids.ts";
import { callMany, callOne, type Queryable, run } from "./call.ts";
import { bodyText, type Entry, type Snapshot } from "./raft.ts";
import { int8, lsn } from "./rows.ts";

/** Who speaks: the first three arguments of every call (H55). */
export interface Sender {
  readonly clusterId: string;
  readonly nodeId: NodeId;
  readonly incarnation: string;
}

const from = (me: Sender) => [me.clusterId, me.nodeId, me.incarnation];

const HelloReply = z.object({
  node_id: z.int(),
  incarnation: z.string(),
  /** Whom it knows as members: one whose log lags hears of the newest ones here. */
  members: z.array(z.int()),
});

export type HelloReply = z.infer<typeof HelloReply>;

/** Who is there? Throws RF008 when we are strangers to it. */
export function hello(db: Queryable, me: Sender): Promise<HelloReply> {
  return callOne(db, HelloReply, {
    text: `select node_id, incarnation, members
             from peer.hello(p_cluster => $1, p_from => $2, p_incarnation => $3)`,
    values: from(me),
  });
}

const Rehearsed = z.object({ said: z.string() });

/**
 * Have that store go through its part in a failover on this connection, and undo it: what a session does for the first
 * time takes several times as long. Answers the state of the imagined epoch, `serving`, or why it came to nothing.
 */
export async function rehearse(db: Queryable, me: Sender): Promise<string> {
  const row = await callOne(db, Rehearsed, {
    text: `select said
             from peer.rehearse(p_cluster => $1, p_from => $2, p_incarnation => $3) as said`,
    values: from(me),
  });
  return row.said;
}

export const Place = z.object({ node_id: z.int(), host: z.string(), port: z.int() });
/** Where a member is said to be reached: a place to dial, which proves nothing. */
export type Place = z.infer<typeof Place>;

/** Where members are reached as far as that store knows, by the log or by their own newer word. */
export function places(db: Queryable, me: Sender): Promise<Place[]> {
  return callMany(db, Place, {
    name: "peer.places",
    text: `select node_id, host, port
             from peer.places(p_cluster => $1, p_from => $2, p_incarnation => $3)`,
    values: from(me),
  });
}

const HeartbeatReply = z.object({
  term: int8,
  success: z.boolean(),
  reason: z.enum(["heard", "stale_term", "unknown_leader"]),
});
export type HeartbeatReply = z.infer<typeof HeartbeatReply>;

/** We lead `term`. Makes nothing durable there. */
export function heartbeat(db: Queryable, me: Sender, term: Term): Promise<HeartbeatReply> {
  return callOne(db, HeartbeatReply, {
    name: "peer.heartbeat",
    text: `select term, success, reason
             from peer.heartbeat(p_cluster => $1, p_from => $2, p_incarnation => $3, p_term => $4)`,
    values: [...from(me), term],
  });
}

const LeaseReply = z.object({ leader_id: z.int().nullable(), echo: int8 });
export type LeaseReply = z.infer<typeof LeaseReply>;

/** Ask for the primary's lease; answered with the nonce echoed last. Makes nothing durable there. */
export function askLease(
  db: Queryable,
  me: Sender,
  ask: { readonly nonce: bigint; readonly hurry: boolean },
): Promise<LeaseReply> {
  return callOne(db, LeaseReply, {
    name: "peer.ask_lease",
    text: `select leader_id, echo
             from peer.ask_lease(
               p_cluster => $1, p_from => $2, p_incarnation => $3, p_nonce => $4, p_hurry => $5)`,
    values: [...from(me), ask.nonce, ask.hurry],
  });
}

export interface VoteRequest {
  readonly term: Term;
  readonly lastTerm: Term;
  readonly lastIndex: LogIndex;
  /** The voter's own counter, seen unchanged for an election timeout; undefined if not known. */
  readonly counter: Counter | undefined;
}

const PreVoteReply = z.object({
  term: int8,
  granted: z.boolean(),
  reason: z.enum(["granted", "learner", "stale_term", "log_behind", "not_marked"]),
  boot_id: z.string(),
  heard: int8,
});
export type PreVoteReply = z.infer<typeof PreVoteReply>;

const voteValues = (me: Sender, ask: VoteRequest) => [
  ...from(me),
  ask.term,
  ask.lastTerm,
  ask.lastIndex,
  ask.counter?.bootId ?? null,
  ask.counter?.heard ?? null,
];

/** Would it vote for us? Nothing is promised. */
export function preVote(db: Queryable, me: Sender, ask: VoteRequest): Promise<PreVoteReply> {
  return callOne(db, PreVoteReply, {
    name: "peer.pre_vote",
    text: `select term, granted, reason, boot_id, heard
             from peer.pre_vote(
               p_cluster => $1, p_from => $2, p_incarnation => $3,
               p_term => $4, p_last_term => $5, p_last_index => $6,
               p_boot_id => $7, p_heard => $8)`,
    values: voteValues(me, ask),
  });
}

const VoteReply = z.object({
  term: int8,
  granted: z.boolean(),
  reason: z.enum([
    "learner",
    "granted",
    "stale_term",
    "already_voted",
    "leader_known",
    "log_behind",
    "not_marked",
  ]),
});
export type VoteReply = z.infer<typeof VoteReply>;

/** Ask for its vote. Never inside a transaction: the vote is given by COMMIT. */
export function requestVote(
  db: Queryable,
  me: Sender,
  ask: VoteRequest & { readonly transfer: boolean },
): Promise<VoteReply> {
  return callOne(db, VoteReply, {
    name: "peer.request_vote",
    text: `select term, granted, reason
             from peer.request_vote(
               p_cluster => $1, p_from => $2, p_incarnation => $3,
               p_term => $4, p_last_term => $5, p_last_index => $6,
               p_boot_id => $7, p_heard => $8, p_transfer => $9)`,
    values: [...voteValues(me, ask), ask.transfer],
  });
}

export interface Append {
  readonly term: Term;
  readonly prevIndex: LogIndex;
  readonly prevTerm: Term;
  readonly entries: readonly Entry[];
  readonly commit: LogIndex;
}

const AppendReply = z.object({
  term: int8,
  success: z.boolean(),
  reason: z.enum(["appended", "stale_term", "log_conflict"]),
  last_index: int8,
  last_term: int8.nullable(),
  applied_index: int8,
});
export type AppendReply = z.infer<typeof AppendReply>;

/** Append, learn the commit index, apply: durable once this resolves (H51). */
export function appendEntries(db: Queryable, me: Sender, ask: Append): Promise<AppendReply> {
  const entries = ask.entries.map(
    (e) =>
      `{"i":${e.index},"t":${e.term},"k":"${e.kind}","c":"${e.client}","s":${e.sequence},"b":${bodyText(e)}}`,
  );
  return callOne(db, AppendReply, {
    name: "peer.append_entries",
    text: `select term, success, reason, last_index, last_term, applied_index
             from peer.append_entries(
               p_cluster => $1, p_from => $2, p_incarnation => $3, p_term => $4,
               p_prev_index => $5, p_prev_term => $6, p_entries => $7::jsonb, p_commit => $8)`,
    values: [...from(me), ask.term, ask.prevIndex, ask.prevTerm, `[${entries.join()}]`, ask.commit],
  });
}

/** One part of a snapshot, 1 to `parts`. */
export interface SnapshotPart extends Snapshot {
  readonly leaderTerm: Term;
  readonly part: number;
  /** JSON text. */
  readonly rows: string;
}

const InstallReply = z.object({
  term: int8,
  reason: z.enum(["waiting", "installed", "not_ahead", "stale_term"]),
  /** The part that is missing there, while it waits. */
  next_part: z.int(),
  last_index: int8,
  applied_index: int8,
});
export type InstallReply = z.infer<typeof InstallReply>;

/** Give it one part of a snapshot; with the last one all is installed, durable once this resolves (H51). */
export function installSnapshot(
  db: Queryable,
  me: Sender,
  ask: SnapshotPart,
): Promise<InstallReply> {
  return callOne(db, InstallReply, {
    text: `select term, reason, next_part, last_index, applied_index
             from peer.install_snapshot(
               p_cluster => $1, p_from => $2, p_incarnation => $3, p_term => $4,
               p_snapshot => $5, p_index => $6, p_index_term => $7, p_hash => $8,
               p_part => $9, p_parts => $10, p_rows => $11::jsonb)`,
    values: [
      ...from(me),
      ask.leaderTerm,
      ask.id,
      ask.index,
      ask.term,
      ask.hash,
      ask.part,
      ask.parts,
      ask.rows,
    ],
  });
}

const Taken = z.object({ taken: z.boolean() });

/** Ask it to campaign at once: leadership transfer. False when it no longer knows us as leader. */
export async function takeLead(db: Queryable, me: Sender, term: Term): Promise<boolean> {
  const row = await callOne(db, Taken, {
    text: `select peer.take_lead(
             p_cluster => $1, p_from => $2, p_incarnation => $3, p_term => $4) as taken`,
    values: [...from(me), term],
  });
  return row.taken;
}

const ReportReply = z.object({
  pledge: int8,
  history_epoch: int8.nullable(),
  lsn: lsn.nullable(),
  shutdown_lsn: lsn.nullable(),
  problem: z.string().nullable(),
});
export type ReportReply = z.infer<typeof ReportReply>;

/** A member's pledge, and its report or hand-over for `epoch` once made. */
export function report(db: Queryable, me: Sender, epoch: Epoch): Promise<ReportReply> {
  return callOne(db, ReportReply, {
    name: "peer.report",
    text: `select pledge, history_epoch, lsn, shutdown_lsn, problem
             from peer.report(p_cluster => $1, p_from => $2, p_incarnation => $3, p_epoch => $4)`,
    values: [...from(me), epoch],
  });
}

const OwnRow = z.object({ own: z.string().nullable() });

/** Share rows of node.observed (JSON text); the answer is that member's own row, if it has one. */
export async function gossip(db: Queryable, me: Sender, rows: string): Promise<string | undefined> {
  const row = await callOne(db, OwnRow, {
    name: "peer.gossip",
    text: `select own::text as own from peer.gossip(
             p_cluster => $1, p_from => $2, p_incarnation => $3, p_rows => $4::jsonb)`,
    values: [...from(me), rows],
  });
  return row.own ?? undefined;
}

/** Tell the leader at once what changed here. `row` is this node's own row as JSON. */
export function suspect(db: Queryable, me: Sender, row: string): Promise<void> {
  return run(db, {
    name: "peer.suspect",
    text: `select peer.suspect(
             p_cluster => $1, p_from => $2, p_incarnation => $3, p_row => $4::jsonb)`,
    values: [...from(me), row],
  });
}

/** Hand a proposal to the leader's worker; its outcome will stand under (key, 1). Throws RF001 elsewhere. */
export function submit(
  db: Queryable,
  me: Sender,
  proposal: { readonly key: string; readonly kind: string; readonly body: unknown },
): Promise<void> {
  return run(db, {
    name: "peer.submit",
    text: `select peer.submit(
             p_cluster => $1, p_from => $2, p_incarnation => $3,
             p_key => $4, p_kind => $5, p_body => $6::jsonb)`,
    values: [...from(me), proposal.key, proposal.kind, JSON.stringify(proposal.body)],
  });
}
