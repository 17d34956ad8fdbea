/**
 * Raft as the rest of the worker sees it.
 *
 * Proposals go through the leader's log; being leader is a scope, not a field.
 */
import type { NodeId, Term } from "../core/ids.ts";

/** What became of a proposal: its place in the log, and `ok` or the reason it was refused. */
export interface Outcome {
  readonly index: bigint;
  readonly outcome: string;
}

/** Thrown by `propose` when this node does not lead: nothing was proposed. */
export class NotLeader extends Error {
  override readonly name = "NotLeader";
}

/** Thrown by `propose` when leadership ended meanwhile: the entry may or may not commit (H13). */
export class UnknownOutcome extends Error {
  override readonly name = "UnknownOutcome";
}

/** A peer's control store as this node's connections see it. */
export type Reach =
  | "ok" /* answered within the last heartbeat limit */
  | "refused" /* connection closed and a new one refused */
  | "silent" /* connected or connecting, and no answer */
  | "unknown" /* not tried yet */;

/** A pledge and, once made, the report of a member for one epoch. */
export interface PeerReport {
  readonly pledge: bigint;
  readonly historyEpoch?: bigint;
  readonly lsn?: bigint;
  /** The planned hand-over of the epoch before: where its primary's WAL ends, or why it goes on. */
  readonly shutdownLsn?: bigint;
  readonly problem?: string;
}

/** What a leader can do; every method belongs to one term and fails once it has ended. */
export interface Leadership {
  readonly term: Term;
  /** Aborts when leadership ends, for whatever reason. */
  readonly signal: AbortSignal;
  /** Commit an entry and wait until this node has applied it. */
  propose(kind: string, body: Readonly<Record<string, unknown>>): Promise<Outcome>;
  reach(peer: NodeId): { readonly reach: Reach; readonly sinceMs: number };
  /** At most so long ago the primary's lease was renewed: since an echo of ours, or since this term began. */
  leaseMs(primary: NodeId | undefined): number;
  /** Fetch a member's report (its own store included); undefined when it does not answer within `limitMs`. */
  report(member: NodeId, epoch: bigint, limitMs: number): Promise<PeerReport | undefined>;
  /** Hand leadership to a caught-up voter; resolves when this term is over or after `limitMs`. */
  transfer(to: NodeId, limitMs: number): Promise<void>;
  /** Whether the life that answers there is the one the log knows (H56). */
  isKnown(member: NodeId): boolean;
  /** Whether this member's store holds all there is, and is the one the log knows. */
  caughtUp(member: NodeId): boolean;
  /**
   * Share what the own store has seen of every member with all peers, and store what they say of themselves. True
   * when somebody said something new, positions and beats aside.
   */
  gossip(): Promise<boolean>;
}
