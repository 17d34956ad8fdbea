/**
 * How a node that is not the primary gets back to the primary's history, as a table.
 *
 * Read a row as "when we know …, this way, because …"; the first matching row wins. pg_rewind is for what is proved to
 * be right; whatever is in doubt is copied anew. `test/core/rejoin-rules.test.ts` proves that every set of facts
 * meets a row, and every row some facts.
 */

import { rowFor, type TableRow } from "./rule-table.ts";

/** Own WAL against the appointments and stamps. `unproved`: they contradict each other (H02). */
export const CHAINS = ["same", "forked", "unproved"] as const;
/** Whether these binaries have pg_rewind. */
export const PROGRAMS = ["there", "missing"] as const;
/** Whether torn and hinted pages can be told: data checksums, or wal_log_hints (H37). */
export const PAGES = ["protected", "bare"] as const;
/**
 * What pg_rewind would do, asked without touching anything. `elsewhere`: it sees the fork at another place than the
 * stamps. `wal_gone`: the source no longer has what recovery would need afterwards.
 */
export const TRIALS = [
  "untested",
  "agrees",
  "nothing",
  "elsewhere",
  "refused",
  "wal_gone",
] as const;

export interface RejoinFacts {
  readonly chain: (typeof CHAINS)[number];
  readonly program: (typeof PROGRAMS)[number];
  readonly pages: (typeof PAGES)[number];
  readonly trial: (typeof TRIALS)[number];
}

/** `try`: ask pg_rewind what it would do, then decide again. */
export type Way = "follow" | "try" | "rewind" | "copy";

interface Row extends TableRow<RejoinFacts> {
  readonly pos: number;
  readonly way: Way;
  readonly why: string;
}

// biome-ignore format: a table
export const REJOIN_RULES: readonly Row[] = [
  { pos: 110, when: { chain: "same" },       way: "follow", why: "the primary's history continues its own" },
  { pos: 210, when: { chain: "unproved" },   way: "copy",   why: "no proof that it shares the primary's history" },
  { pos: 220, when: { program: "missing" },  way: "copy",   why: "these PostgreSQL binaries have no pg_rewind" },
  { pos: 230, when: { pages: "bare" },       way: "copy",   why: "without checksums or wal_log_hints pg_rewind cannot tell which pages changed" },
  { pos: 310, when: { trial: "untested" },   way: "try",    why: "the fork is known: ask pg_rewind what it would do" },
  { pos: 320, when: { trial: "nothing" },    way: "copy",   why: "pg_rewind sees no fork where the stamps have one" },
  { pos: 330, when: { trial: "elsewhere" },  way: "copy",   why: "pg_rewind sees the fork at another place than the stamps" },
  { pos: 340, when: { trial: "refused" },    way: "copy",   why: "pg_rewind cannot do it" },
  { pos: 350, when: { trial: "wal_gone" },   way: "copy",   why: "the primary no longer has the WAL that recovery would need" },
  { pos: 390, when: { trial: "agrees" },     way: "rewind", why: "fork, timelines and WAL are proved" },
];

/** The one row that applies. */
export function chooseWay(facts: RejoinFacts): Row {
  return rowFor(REJOIN_RULES, facts);
}
