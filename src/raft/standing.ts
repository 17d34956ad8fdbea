/** What only this process knows of Raft, for display: counters, ages, and how far each log is known to match. */
import type { LogIndex, NodeId } from "../core/ids.ts";
import type { Progress } from "../core/progress.ts";

/** Since the start of the worker. */
export interface Counts {
  messages: number;
  heartbeats: number;
  elections: number;
}

export const noCounts = (): Counts => ({ messages: 0, heartbeats: 0, elections: 0 });

export interface PeerStanding {
  readonly id: NodeId;
  readonly match: LogIndex;
  readonly next: LogIndex;
  readonly state: "probe" | "replicate" | "snapshot";
  /** Since its newest confirmed heartbeat began, in ms. */
  readonly ageMs: number | undefined;
}

/** Ages in ms; `roundMs`, of the last majority, and `peers` of a leader alone. */
export interface RaftStanding extends Readonly<Counts> {
  readonly quietMs: number;
  readonly roundMs: number | undefined;
  readonly peers: readonly PeerStanding[];
}

/** A leader's books: how far each log is known to match, and when the newest confirmed heartbeat to each began. */
export interface Books {
  readonly progress: ReadonlyMap<NodeId, Progress>;
  readonly begun: ReadonlyMap<NodeId, number>;
  readonly snapshots: { isSendingTo(id: NodeId): boolean };
}

export interface Bookkeeper {
  books(): Books;
  confirmedSince(): number;
}

export function standingOf(
  self: NodeId,
  counts: Counts,
  { quietMs, now, leading }: { quietMs: number; now: number; leading: Bookkeeper | undefined },
): RaftStanding {
  const books = leading?.books();
  const age = (begun: number | undefined) => (begun === undefined ? undefined : now - begun);
  const others = [...(books?.progress ?? [])].filter(([id]) => id !== self);
  const confirmed = leading?.confirmedSince();
  return {
    ...counts,
    quietMs,
    roundMs: age(Number.isFinite(confirmed) ? confirmed : undefined),
    peers: others.map(([id, { match, next }]) => ({
      id,
      match,
      next,
      state:
        books?.snapshots.isSendingTo(id) === true ? "snapshot" : match > 0n ? "replicate" : "probe",
      ageMs: age(books?.begun.get(id)),
    })),
  };
}
