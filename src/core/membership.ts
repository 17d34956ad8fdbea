/**
 * How the members change: one at a time (H53, Raft thesis §4.1).
 *
 * A change takes effect on a node when it is applied there, hence committed. That keeps every two majorities that may
 * decide at once overlapping, because a store that holds change i + 1 has applied change i: a leader proposes a change
 * only when what it counts by includes the one before, and tells every append a commit index that covers it. So who
 * campaigns or counts by an older membership than the one before the newest lacks a change that a majority of that
 * very membership's neighbour holds, and wins no vote that matters.
 */
const CHANGES: ReadonlySet<string> = new Set(["add_member", "voter", "readmit", "remove"]);

/** Whether a command of this kind changes who is a member, or who of them votes. */
export function isChange(kind: string): boolean {
  return CHANGES.has(kind);
}

/** Signs of a member's life, as a leader sees them. */
export interface Signs {
  /** Of its worker, when it was first looked for, and now; 0: none. */
  readonly firstBeat: bigint;
  readonly beat: bigint;
}

/**
 * Does its worker run? A store may answer that is only being made, and is stopped again (`init --join`): as a voter it
 * would be missed at once, and a leader of few voters ends its term.
 */
export function isAtWork({ firstBeat, beat }: Signs): boolean {
  return beat > firstBeat;
}
