/**
 * Whether a copied logical slot of a standby may stand in for the primary's after a failover (H45). Pure.
 *
 * A logical slot is three promises about its server: the WAL from `restart_lsn` on is there, the catalog rows that were
 * alive since `catalog_xmin` are there, and decoding from `restart_lsn` reaches a consistent snapshot no later than
 * `confirmed_lsn`. The last one is kept by what is copied: the primary's state file with every snapshot that the
 * primary stored between the two, over the same WAL. The others are proved here, or the slot is not used.
 */
import type { Lsn } from "./ids.ts";

export interface LogicalSlot {
  readonly name: string;
  readonly database: string;
  readonly active: boolean;
  readonly lost: boolean;
  readonly catalog_xmin: number | null;
  readonly restart_lsn: Lsn | null;
  readonly confirmed_lsn: Lsn | null;
}

/** What this node noted of one of its slots. */
export interface SlotNote {
  /** The receiver through which all WAL came since the primary was seen to keep what the slot needs. */
  readonly held?: string | undefined;
}

export interface Evidence {
  /** Of this node's physical slot on the primary, asked first: from then on the primary keeps what is younger. */
  readonly keptXmin: number | null;
  /** The primary's slot of the same name, asked after that. */
  readonly theirs: LogicalSlot | undefined;
  /** This standby's, asked last. */
  readonly own: LogicalSlot;
  readonly replayed: Lsn;
  /** This server has just decoded it as far as the primary's was confirmed, or had nothing to decode. */
  readonly decoded: boolean;
}

/** Transaction ids are compared on their circle. */
function notBefore(xid: number, other: number): boolean {
  return ((xid - other) | 0) >= 0;
}

/**
 * Undefined when the promises hold, else what is not proved.
 *
 * Catalog rows: what the primary had vacuumed before `keptXmin` was in place was dead for its own slot, whose
 * catalog_xmin, read later, is at least as young as it was then; a copy no older than that needs none of it.
 */
export function distrust({
  keptXmin,
  theirs,
  own,
  replayed,
  decoded,
}: Evidence): string | undefined {
  const { catalog_xmin: xmin, restart_lsn: restart, confirmed_lsn: confirmed } = own;
  if (own.lost || restart === null || confirmed === null || xmin === null) return "its WAL is gone";
  if (theirs === undefined || theirs.catalog_xmin === null) return "the primary has none like it";
  if (confirmed > replayed) return "it is ahead of what was replayed here";
  if (!decoded) return "this server could not decode its WAL";
  if (keptXmin === null || !notBefore(xmin, keptXmin))
    return "the primary does not keep the catalog rows it needs";
  if (!notBefore(xmin, theirs.catalog_xmin)) return "the primary may have vacuumed what it needs";
  return undefined;
}

/**
 * What is noted after a round that asked through receiver `run`. Seen to be kept through this very receiver, it stays
 * so: only another one may have missed something.
 */
export function noteOf(evidence: Evidence, note: SlotNote, run: string): SlotNote {
  const held = note.held === run || distrust(evidence) === undefined;
  return held && !evidence.own.lost ? { held: run } : {};
}

/** At a promotion: slots that are not proved for all WAL that came, the last of it through receiver `run`. */
export function unproved<Slot extends Pick<LogicalSlot, "name" | "lost">>(
  slots: readonly Slot[],
  notes: Readonly<Record<string, SlotNote>>,
  run: string | undefined,
): Slot[] {
  return slots.filter(({ name, lost }) => {
    const held = notes[name]?.held;
    return lost || held === undefined || held !== run;
  });
}

/** Made for the initial copy of one table, and gone in a moment. */
const OF_TABLE_SYNC = /^pg_\d+_sync_\d+_\d+$/;

/** Slots of the primary that can be copied to a standby which holds the WAL from `oldest` on. */
export function copyable(
  theirs: readonly LogicalSlot[],
  own: readonly { readonly name: string }[],
  oldest: Lsn,
): string[] {
  const here = new Set(own.map(({ name }) => name));
  return theirs
    .filter(({ name, lost }) => !lost && !here.has(name) && !OF_TABLE_SYNC.test(name))
    .filter(({ restart_lsn: restart }) => restart !== null && restart >= oldest)
    .map(({ name }) => name);
}
