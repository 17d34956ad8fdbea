/** What a leader of one term works with. */
import type { Clock } from "../clock/clock.ts";
import type { LogIndex, NodeId, Term } from "../core/ids.ts";
import type { Queryable } from "../db/call.ts";
import type { Sender } from "../db/peer.ts";
import type { Log } from "../log/logger.ts";
import type { AcceptorLink } from "./links.ts";
import type { Counts } from "./standing.ts";

export interface ReplicatorOptions {
  readonly me: Sender;
  readonly term: Term;
  readonly last: {
    readonly lastIndex: LogIndex;
    readonly lastTerm: Term;
    readonly commitIndex: LogIndex;
  };
  /** As the own store has applied it. */
  readonly voters: () => readonly NodeId[];
  /** How far the own store had applied the log when it told these voters. */
  readonly votersAt: () => LogIndex;
  /** Whether this peer's store is the one the log knows: what any other holds counts for nothing (H56). */
  readonly isKnown: (id: NodeId) => boolean;
  readonly links: ReadonlyMap<NodeId, AcceptorLink>;
  readonly store: Queryable;
  /** Asked for each time: it may change within a term. */
  readonly heartbeatMs: () => number;
  /** What is kept of the log for those that lag: in memory no more than that, either. */
  readonly keep: { readonly maxLogEntries: number; readonly maxLogBytes: number };
  readonly clock: Clock;
  readonly log: Log;
  /** Aborts when the term is over. */
  readonly signal: AbortSignal;
  readonly onAcked: (peer: NodeId) => void;
  readonly counts?: Counts;
  readonly onHigherTerm: (term: Term) => void;
}
