/**
 * What to do after a failure. One rule: try again only what certainly had no effect, or is harmless twice; what may
 * have had one is `in_doubt`, never success and never failure. First row that fits counts.
 */

/**
 * `read`: cannot change anything (a read-only transaction) · `write`: one statement that commits by itself ·
 * `transaction`: between BEGIN and COMMIT, run again from its begin or not at all.
 */
export type Work = "read" | "write" | "transaction";

export interface Fault {
  /** Had COMMIT been sent? For a single write it goes with the statement. */
  readonly phase: "before" | "first" | "later" | "commit";
  /** The connection is gone: what the server did with the last message is not known. */
  readonly lost: boolean;
  /** What the server answered. */
  readonly sqlstate?: string | undefined;
  /** Committed here, and the wait for the standbys was given up: a notice beside a success, or before a loss. */
  readonly waitCancelled?: boolean;
  /** The session was read-only by our own order: to refuse a write says nothing of the server. */
  readonly readOnly?: boolean;
  /** We asked the server to cancel. */
  readonly stopped?: boolean;
}

export type Verdict =
  /** Once more, elsewhere if there is an elsewhere. */
  | "again"
  /** Nobody knows whether it happened. */
  | "in_doubt"
  /** It did not happen: the deadline or the caller's signal came first. */
  | "stopped"
  /** An answer to the statement: the caller's. */
  | "tell";

interface Row {
  readonly pos: number;
  readonly when: (fault: Fault, work: Work) => boolean;
  readonly verdict: Verdict;
}

/** Not the primary (any more), not up yet, no room: said before anything was done. */
const NOT_HERE = ["25006", "57P03", "53300"];
/** Serialization failure and deadlock: rolled back whole, meant to be run again. */
const RUN_AGAIN = ["40001", "40P01"];

const ROWS: readonly Row[] = [
  { pos: 10, when: (f) => f.waitCancelled === true, verdict: "in_doubt" },
  { pos: 15, when: (f) => f.phase === "before" && f.stopped === true, verdict: "stopped" },
  { pos: 20, when: (f) => f.phase === "before", verdict: "again" },
  { pos: 30, when: (f, w) => f.lost && w === "read" && f.stopped === true, verdict: "stopped" },
  { pos: 31, when: (f, w) => f.lost && w === "read", verdict: "again" },
  { pos: 32, when: (f, w) => f.lost && w === "write", verdict: "in_doubt" },
  { pos: 33, when: (f) => f.lost && f.phase === "commit", verdict: "in_doubt" },
  { pos: 34, when: (f) => f.lost && f.stopped === true, verdict: "stopped" },
  { pos: 35, when: (f) => f.lost, verdict: "again" }, // rolled back, for certain
  { pos: 40, when: (f) => f.sqlstate === "57014" && f.stopped === true, verdict: "stopped" },
  { pos: 50, when: (f) => RUN_AGAIN.includes(f.sqlstate ?? ""), verdict: "again" },
  {
    pos: 60,
    when: (f, w) => w !== "read" && f.phase === "first" && isNotHere(f),
    verdict: "again",
  },
  {
    pos: 61,
    when: (f, w) => w === "read" && isNotHere(f) && f.sqlstate !== "25006",
    verdict: "again",
  },
  { pos: 90, when: () => true, verdict: "tell" },
];

function isNotHere({ sqlstate = "" }: Fault): boolean {
  return NOT_HERE.includes(sqlstate);
}

export function verdictOn(fault: Fault, work: Work): Verdict {
  return ROWS.find(({ when }) => when(fault, work))?.verdict ?? "tell";
}

/** A sign that the server itself is going, or is not what it was: judge it anew, trust none of its idle connections. */
export function isSignOfLoss({ lost, sqlstate = "", readOnly = false }: Fault): boolean {
  return lost || /^57P0[123]$/.test(sqlstate) || (sqlstate === "25006" && !readOnly);
}

export interface Backoff {
  readonly maxAttempts: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
}

/** Full jitter: anything up to a bound that doubles with each attempt. `chance` is within 0 to 1. */
export function delayBefore(attempt: number, { baseDelayMs, maxDelayMs }: Backoff, chance: number) {
  return Math.min(maxDelayMs, baseDelayMs * 2 ** Math.max(0, attempt - 1)) * chance;
}
