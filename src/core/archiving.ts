/** Whether a primary's WAL gets into its archive: what does not is kept, and nothing else waits for it (F51). Pure. */

/** What PostgreSQL tells of its archiver. */
export interface Archiving {
  /** The last try failed. */
  readonly failing: boolean;
  /** The segment that it failed on. */
  readonly wal: string | null;
  /** Segments that wait. */
  readonly waiting: number;
  /** How long the oldest of them has waited, in seconds; null: none waits. */
  readonly oldest_s: number | null;
}

/** An archive that is only slow is told of when a segment has waited for so long, in seconds. */
const SLOW_S = 60;

/** What an operator is told; undefined while all is well. */
export function archiveTrouble({ failing, wal, waiting, oldest_s }: Archiving): string | undefined {
  const kept = `${waiting} ${waiting === 1 ? "segment waits and is" : "segments wait and are"} kept`;
  if (failing) return `archive_command failed on ${wal ?? "a segment"}: ${kept}`;
  if (oldest_s === null || oldest_s < SLOW_S) return undefined;
  return `the archive is slow: ${kept}, the oldest for ${Math.round(oldest_s)} s`;
}
