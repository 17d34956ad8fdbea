/** How far each acceptor's log matches the leader's, and what that commits. Raft §5.3, §5.4.2. Pure. */
import type { LogIndex, NodeId } from "./ids.ts";

export interface Progress {
  /** The next entry to send. */
  readonly next: LogIndex;
  /** The last entry known to match and to be durable there; 0 until proven. */
  readonly match: LogIndex;
  /** The commit index this acceptor has acknowledged. */
  readonly commit: LogIndex;
}

export function initialProgress(lastIndex: LogIndex): Progress {
  return { next: lastIndex + 1n, match: 0n, commit: 0n };
}

/** The acceptor holds everything up to `match`. A late answer never moves it back (H61). */
export function onAppended(progress: Progress, match: LogIndex, sentCommit: LogIndex): Progress {
  const commit = sentCommit < match ? sentCommit : match;
  return {
    match: match > progress.match ? match : progress.match,
    next: match + 1n > progress.next ? match + 1n : progress.next,
    commit: commit > progress.commit ? commit : progress.commit,
  };
}

/** The logs differ before `next`: try again behind `hint`, which is where they may still agree. */
export function onConflict(progress: Progress, hint: LogIndex): Progress {
  const next = hint + 1n < progress.next ? hint + 1n : progress.next - 1n;
  return { ...progress, next: next > progress.match ? next : progress.match + 1n };
}

/** A conflict no further on than what it acknowledged: it holds that no more (R6), as an older copy would (F33). */
export function hasForgotten({ match }: Progress, prevIndex: LogIndex): boolean {
  return prevIndex <= match;
}

/** It has not heard yet that an entry it holds is committed. */
function owesCommit(progress: Progress, commit: LogIndex): boolean {
  return progress.commit < (commit < progress.match ? commit : progress.match);
}

/** Of these no node takes notice but for its users. */
const OF_USERS: ReadonlySet<string> = new Set(["entry", "kv_set", "kv_compact", "kv_reset"]);

/** Whether the nodes themselves go by a command of this kind. */
export function isPressing(kind: string): boolean {
  return !OF_USERS.has(kind);
}

/** What the log of a leader is at. */
export interface LogState {
  readonly lastIndex: LogIndex;
  readonly commit: LogIndex;
  /** The last pressing entry. */
  readonly pressing: LogIndex;
}

/** When an acceptor is to be sent what it lacks; `soon`: with what else comes until then. */
export type Due = "now" | "soon" | "never";

/** Another node's store: entries now, and the word that users' entries are committed, with those behind them. */
export function dueElsewhere(progress: Progress, { lastIndex, commit, pressing }: LogState): Due {
  if (progress.next <= lastIndex) return "now";
  if (!owesCommit(progress, commit)) return "never";
  return progress.commit < pressing ? "now" : "soon";
}

/**
 * The own store, which applies what is committed for those who wait. While the others commit without it (`spared`), it
 * takes entries once they are committed, so each in one transaction, not two: nothing comes later for that, since what
 * is applied here must be committed first (Raft thesis §10.2.1: a leader's own copy may come last).
 */
export function dueHere(progress: Progress, { lastIndex, commit }: LogState, spared: boolean): Due {
  if (owesCommit(progress, commit)) return "now";
  if (progress.next > lastIndex) return "never";
  return spared && commit < progress.next ? "soon" : "now";
}

/** Whether a majority of the voters are others, known, that hold all that is committed. */
export function othersSuffice(
  me: NodeId,
  voters: readonly NodeId[],
  progress: ReadonlyMap<NodeId, Progress>,
  commit: LogIndex,
): boolean {
  const inStep = (id: NodeId) => id !== me && (progress.get(id)?.match ?? -1n) >= commit;
  return voters.filter(inStep).length > voters.length / 2;
}

/**
 * The highest index that a majority of the voters holds.
 *
 * Only entries of the leader's own term are committed by counting (H52): below `firstOfTerm` it says 0.
 */
export function committedIndex(
  voters: readonly NodeId[],
  progress: ReadonlyMap<NodeId, Progress>,
  firstOfTerm: LogIndex,
): LogIndex {
  const matches = voters.map((id) => progress.get(id)?.match ?? 0n);
  const sorted = matches.sort((a, b) => (a < b ? 1 : a > b ? -1 : 0));
  const held = sorted[Math.floor(voters.length / 2)] ?? 0n;
  return held >= firstOfTerm ? held : 0n;
}
