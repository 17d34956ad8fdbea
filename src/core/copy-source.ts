/**
 * From whom a node copies its data: from a standby that an operator has named for it (`clone_from`), so that the
 * primary is spared, when that is proved to be as good; else from the primary.
 *
 * The copy takes the place of data that may hold acknowledged commits, and the node then reports like any other. So it
 * must hold all that this node may have confirmed (D1, D4), and its history must be the epoch's (H02, H36).
 */
import { formatLsn, type Lsn, type NodeId } from "./ids.ts";
import { rowFor, type TableRow } from "./rule-table.ts";

/** The primary's slot for this node: whether it keeps all WAL that may be asked for behind the copy. */
export const SLOTS = ["covers", "missing"] as const;
/** What it says that it is. */
export const ANSWERS = ["standby", "primary", "none"] as const;
/** Whether it streams on the epoch's timeline, which only the epoch's primary sends. */
export const STREAMS = ["on_epoch", "elsewhere"] as const;
/** Its stamps against the primary's, one by one. */
export const STAMPS = ["same", "differ"] as const;
/** Whether it has replayed the checkpoint that was made for this copy. */
export const REPLAYS = ["past", "short"] as const;

export interface SourceFacts {
  readonly slot: (typeof SLOTS)[number];
  readonly answer: (typeof ANSWERS)[number];
  readonly stream: (typeof STREAMS)[number];
  readonly stamps: (typeof STAMPS)[number];
  readonly replay: (typeof REPLAYS)[number];
}

interface Row extends TableRow<SourceFacts> {
  readonly pos: number;
  /** `wait`: in a moment it may be as it should. */
  readonly use: "copy" | "wait" | "never";
  readonly why: string;
}

// biome-ignore format: a table
export const SOURCE_RULES: readonly Row[] = [
  { pos: 110, when: { slot: "missing" },     use: "never", why: "the primary keeps no WAL for what follows a standby's copy" },
  { pos: 210, when: { answer: "none" },      use: "never", why: "it does not answer" },
  { pos: 220, when: { answer: "primary" },   use: "never", why: "it is no standby" },
  { pos: 230, when: { stream: "elsewhere" }, use: "never", why: "it does not stream on the epoch's timeline" },
  { pos: 240, when: { stamps: "differ" },    use: "never", why: "its stamps are not the primary's" },
  { pos: 250, when: { replay: "short" },     use: "wait",  why: "it has not replayed the primary's checkpoint" },
  { pos: 290, when: { replay: "past" },      use: "copy",  why: "it holds all that the primary had" },
];

/** A member that an operator has named as a source, and what it says. */
export interface Candidate {
  readonly id: NodeId;
  readonly facts: SourceFacts;
  readonly replayed: Lsn;
}

export type Choice =
  | { readonly use: "copy"; readonly id: NodeId }
  | { readonly use: "wait" | "never"; readonly why: string };

/** The one that holds most, the lower number first; while there is none, whether to wait for one. */
export function chooseSource(candidates: readonly Candidate[]): Choice {
  const judged = candidates.map((one) => ({ ...one, row: rowFor(SOURCE_RULES, one.facts) }));
  const [best] = judged
    .filter(({ row }) => row.use === "copy")
    .sort((a, b) => Number(b.replayed - a.replayed) || a.id - b.id);
  if (best !== undefined) return { use: "copy", id: best.id };
  const use = judged.some(({ row }) => row.use === "wait") ? "wait" : "never";
  return { use, why: judged.map(({ id, row }) => `node ${id}: ${row.why}`).join("; ") };
}

/** What a copy must hold: all that the primary had flushed when nothing could be confirmed here any more. */
export interface Needed {
  readonly end: Lsn;
  /** The epoch's. */
  readonly timeline: number;
}

/** What is wrong with a copy that was taken; undefined when it may take the place of this node's data. */
export function fallsShort(
  { endLsn, endTimeline }: { readonly endLsn: Lsn; readonly endTimeline: number },
  { end, timeline }: Needed,
): string | undefined {
  if (endTimeline !== timeline) {
    return `the copy ends on timeline ${endTimeline}, not on the epoch's ${timeline}`;
  }
  if (endLsn >= end) return undefined;
  return `the copy ends at ${formatLsn(endLsn)}, short of ${formatLsn(end)}, which may be confirmed`;
}
