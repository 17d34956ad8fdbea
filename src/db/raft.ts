/** The schema `raft`: this node's own consensus state. One function per SQL function. */
import { z } from "zod";
import type { Counter } from "../core/counters.ts";
import type { Sample } from "../core/election.ts";
import type { LogIndex } from "../core/ids.ts";
import { callMany, callOne, type Queryable, run } from "./call.ts";
import { int8 } from "./rows.ts";

const RaftMember = z.object({
  id: z.int(),
  /** Null until it has registered. */
  incarnation: z.string().nullable(),
  /** Where its store is reached. */
  host: z.string(),
  port: z.int(),
  voter: z.boolean(),
});
export type RaftMember = z.infer<typeof RaftMember>;

const SampleRow = z
  .object({
    boot_id: z.string(),
    heard: int8,
    term: int8,
    leader_id: z.int().nullable(),
    last_index: int8,
    last_term: int8,
    commit_index: int8,
    applied_index: int8,
    alarm: z.string().nullable(),
    transfer_term: int8.nullable(),
    epoch: int8,
    primary_id: z.int().nullable(),
    lease_asked: int8,
    members: z.array(RaftMember),
  })
  .transform((row) => ({
    bootId: row.boot_id,
    heard: row.heard,
    term: row.term,
    leaderId: row.leader_id ?? undefined,
    lastIndex: row.last_index,
    lastTerm: row.last_term,
    commitIndex: row.commit_index,
    appliedIndex: row.applied_index,
    alarm: row.alarm ?? undefined,
    transferTerm: row.transfer_term ?? undefined,
    /** The newest epoch applied, 0 before the first, and its primary. */
    epoch: row.epoch,
    primaryId: row.primary_id ?? undefined,
    /** The nonce by which the primary asked for its lease last; 0: none since this boot. */
    leaseAsked: row.lease_asked,
    members: row.members,
    voters: row.members.filter(({ voter }) => voter).map(({ id }) => id),
  }));
export type StoreSample = z.infer<typeof SampleRow> & Sample;

/** What this node's store holds and has heard. Reads only. */
export function sample(db: Queryable): Promise<StoreSample> {
  return callOne(db, SampleRow, {
    name: "raft.sample",
    text: `select boot_id, heard, term, leader_id, last_index, last_term, commit_index,
                  applied_index, alarm, transfer_term, epoch, primary_id, lease_asked, members
             from raft.sample()`,
  });
}

const Marked = z.object({ marked: z.boolean() });

/** Record the leader's silence; false when something was heard meanwhile. */
export async function markSilent(db: Queryable, { bootId, heard }: Counter): Promise<boolean> {
  const row = await callOne(db, Marked, {
    name: "raft.mark_silent",
    text: "select raft.mark_silent(p_boot_id => $1, p_heard => $2) as marked",
    values: [bootId, heard],
  });
  return row.marked;
}

/** Confirm a nonce of the primary. Makes nothing durable. */
export function echoLease(db: Queryable, nonce: bigint): Promise<void> {
  return run(db, {
    name: "raft.echo_lease",
    text: "select raft.echo_lease(p_nonce => $1)",
    values: [nonce],
  });
}

/** Answer at no gate. */
export function confirmReads(db: Queryable, { ticket, index }: ReadAnswer): Promise<void> {
  return run(db, {
    name: "raft.confirm_reads",
    text: "select raft.confirm_reads(p_ticket => $1, p_index => $2)",
    values: [ticket, index],
  });
}

/** Throws when this store cannot append (H66). */
export function testAppend(db: Queryable): Promise<void> {
  return run(db, { name: "raft.test_append", text: "select raft.test_append()" });
}

const More = z.object({ more: z.boolean() });

/** Apply some of what is committed and was not applied before; true when there is more of it. */
export async function applyAgain(db: Queryable): Promise<boolean> {
  const text = "select raft.apply_again() as more";
  return (await callOne(db, More, { name: "raft.apply_again", text })).more;
}

/** A log entry on its way to an acceptor. */
export interface Entry {
  readonly index: LogIndex;
  readonly term: bigint;
  readonly kind: string;
  readonly client: string;
  readonly sequence: bigint;
  readonly body: unknown;
}

/** Bodies that were written out before: each is measured, and sent to every acceptor. */
const bodies = new WeakMap<Entry, string>();

/** What it says, as JSON. */
export function bodyText(entry: Entry): string {
  const known = bodies.get(entry);
  if (known !== undefined) return known;
  const text = JSON.stringify(entry.body);
  bodies.set(entry, text);
  return text;
}

const EntryRow = z.object({
  index: int8,
  term: int8,
  kind: z.string(),
  client: z.string(),
  sequence: int8,
  body: z.unknown(),
});

/** Entries from `from` on, at least one if there is one, then up to the limits. */
export function readLog(
  db: Queryable,
  from: LogIndex,
  limits: { readonly entries: number; readonly bytes: number },
): Promise<Entry[]> {
  return callMany(db, EntryRow, {
    name: "raft.read_log",
    text: `select index, term, kind, client, sequence, body
             from raft.read_log(p_from => $1, p_max_entries => $2, p_max_bytes => $3)`,
    values: [from, limits.entries, limits.bytes],
  });
}

const TermRow = z.object({ term: int8.nullable() });

/** The term of an own entry; undefined beyond the end, and before what is kept. */
export async function termAt(db: Queryable, index: LogIndex): Promise<bigint | undefined> {
  const row = await callOne(db, TermRow, {
    name: "raft.term_at",
    text: "select raft.term_at($1) as term",
    values: [index],
  });
  return row.term ?? undefined;
}

/** Keep at most so much of the log, of what is applied here; true when there is more to forget. */
export async function compact(
  db: Queryable,
  keep: { readonly entries: number; readonly bytes: number },
): Promise<boolean> {
  const row = await callOne(db, z.object({ more: z.boolean() }), {
    name: "raft.compact",
    text: "select raft.compact(p_entries => $1, p_bytes => $2) as more",
    values: [keep.entries, keep.bytes],
  });
  return row.more;
}

const SnapshotRow = z.object({
  id: z.string(),
  index: int8,
  term: int8,
  hash: z.string(),
  parts: z.int(),
});
/** The replicated state as the entry at `index` left it. */
export type Snapshot = z.infer<typeof SnapshotRow>;

/** Take a snapshot in parts of about so many bytes; it replaces the one taken before. */
export function takeSnapshot(db: Queryable, partBytes: number): Promise<Snapshot> {
  return callOne(db, SnapshotRow, {
    text: "select id, index, term, hash, parts from raft.take_snapshot(p_part_bytes => $1)",
    values: [partBytes],
  });
}

const PartRow = z.object({ rows: z.string().nullable() });

/** One part, as JSON text; undefined when that snapshot is no longer there. */
export async function snapshotPart(
  db: Queryable,
  id: string,
  part: number,
): Promise<string | undefined> {
  const row = await callOne(db, PartRow, {
    text: "select raft.snapshot_part(p_id => $1, p_part => $2)::text as rows",
    values: [id, part],
  });
  return row.rows ?? undefined;
}

/** That snapshot is needed no more. */
export function dropSnapshot(db: Queryable, id: string): Promise<void> {
  return run(db, { text: "select raft.drop_snapshot(p_id => $1)", values: [id] });
}

const ProposalRow = z.object({
  client: z.string(),
  sequence: int8,
  kind: z.string(),
  body: z.record(z.string(), z.unknown()),
});
export type InboxProposal = z.infer<typeof ProposalRow>;

const TurnRow = z.object({ gate: int8, ticket: int8, proposals: z.array(ProposalRow) });
/** What was handed in at a gate: proposals of SQL callers, each told once, and the newest question for a read. */
export type Turn = z.infer<typeof TurnRow>;

/**
 * Take what was handed in until now, and shut a gate for what comes later. The session holds it shut: always the same
 * connection, and none that others share.
 */
export function turnGate(db: Queryable, max: number): Promise<Turn> {
  return callOne(db, TurnRow, {
    name: "raft.turn_gate",
    text: "select gate, ticket, proposals from raft.turn_gate(p_max => $1)",
    values: [max],
  });
}

/** All questions up to this ticket are answered: what was committed before them stands at `index` or before. */
export interface ReadAnswer {
  readonly ticket: bigint;
  readonly index: LogIndex;
}

const OpenedRow = z.object({ more: z.boolean() });

/** Let through who waits at this gate of the same session's. True when more was handed in or asked since. */
export async function openGate(
  db: Queryable,
  gate: bigint,
  answer: ReadAnswer | undefined,
): Promise<boolean> {
  const { more } = await callOne(db, OpenedRow, {
    name: "raft.open_gate",
    text: "select raft.open_gate(p_gate => $1, p_ticket => $2, p_index => $3) as more",
    values: [gate, answer?.ticket, answer?.index],
  });
  return more;
}

const OutcomeRow = z.object({ sequence: int8, log_index: int8, outcome: z.string() });
/** What became of a proposal. */
export type OutcomeRow = z.infer<typeof OutcomeRow>;

/** What became of a client's proposals with these numbers: of those that are applied here, in their order. */
export function outcomes(
  db: Queryable,
  client: string,
  { first, last }: { readonly first: bigint; readonly last: bigint },
): Promise<OutcomeRow[]> {
  return callMany(db, OutcomeRow, {
    name: "raft.outcomes",
    text: `select sequence, log_index, outcome
             from raft.outcomes(p_client => $1, p_first => $2, p_last => $3)`,
    values: [client, first, last],
  });
}
