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

/** It has not heard yet that an entry it holds is committed. */
export function owesCommit(progress: Progress, commit: LogIndex): boolean {
  return progress.commit < (commit < progress.match ? commit : progress.match);
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
