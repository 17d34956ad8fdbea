/** What a node must never forget, and how its commit index moves: raft.learn_commit. */
import type { Epoch, LogIndex, NodeId, Term } from "../../../src/core/ids.ts";
import type { Entry } from "../../../src/db/raft.ts";
import type { Cluster } from "./cluster.ts";
import { apply } from "./cluster-commands.ts";
import { SqlError } from "./sql-error.ts";

/** raft.hard_state, node.pledge and node.followed: what this node must never forget. */
export interface HardState {
  readonly term: Term;
  readonly votedFor: NodeId | undefined;
  readonly leaderId: NodeId | undefined;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly alarm: string | undefined;
  readonly pledge: Epoch;
  readonly followed: Epoch;
}

/** As `init` leaves it. */
export const NO_PROMISES: HardState = {
  term: 0n,
  votedFor: undefined,
  leaderId: undefined,
  commitIndex: 0n,
  appliedIndex: 0n,
  alarm: undefined,
  pledge: 0n,
  followed: 0n,
};

/** What was compacted, or came as a snapshot: the log goes on behind this entry. */
export interface Base {
  readonly index: LogIndex;
  readonly term: Term;
  /** Covers the log up to here (H57), in hexadecimal. */
  readonly hash: string;
}

/** As `init` leaves it. */
export const WHOLE_LOG: Base = { index: 0n, term: 0n, hash: "" };

/** All that survives a crash. Never changed in place: a dump is the object itself. */
export interface Durable {
  readonly state: HardState;
  readonly base: Base;
  /** Entry i stands at position i - base.index - 1. */
  readonly log: readonly Entry[];
  readonly cluster: Cluster;
}

/** At most so many entries are applied at a time. */
const MOST = 1024n;

/** raft.learn_commit: an entry that cannot be applied stops apply there and raises an alarm; the log goes on. */
export function learnCommit(
  durable: Durable,
  commit: LogIndex,
  handedOver: { delete(epoch: Epoch): unknown },
): Durable {
  const { log, base } = durable;
  let { state, cluster } = durable;
  const commitIndex = commit > state.commitIndex ? commit : state.commitIndex;
  let { appliedIndex, pledge } = state;
  let alarm: string | undefined;
  if (appliedIndex === commitIndex) return { ...durable, state: { ...state, commitIndex } };
  const through = commitIndex < appliedIndex + MOST ? commitIndex : appliedIndex + MOST;

  for (const entry of log.slice(Number(appliedIndex - base.index), Number(through - base.index))) {
    try {
      const applied = apply(cluster, entry);
      cluster = applied.cluster;
      if (applied.pledge !== undefined && applied.pledge > pledge) pledge = applied.pledge;
      if (applied.keptPrimary !== undefined) handedOver.delete(applied.keptPrimary);
    } catch (error) {
      if (!(error instanceof SqlError)) throw error;
      alarm = `entry ${entry.index} (${entry.kind}) cannot be applied: ${error.message}`;
      break;
    }
    appliedIndex = entry.index;
  }
  state = { ...state, commitIndex, appliedIndex, alarm, pledge };
  return { state, base, log, cluster };
}
