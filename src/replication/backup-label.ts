/** Reads what PostgreSQL writes into a backup's `backup_label`. */
import { type Lsn, parseLsn } from "../core/ids.ts";

export interface BackupLabel {
  /** Recovery begins here. */
  readonly startLsn: Lsn;
  readonly timeline: number;
}

/** Throws when a line is missing: without it the server would start from the wrong place. */
export function parseBackupLabel(text: string): BackupLabel {
  const lsn = /^START WAL LOCATION: ([0-9A-F]+\/[0-9A-F]+) \(file [0-9A-F]{24}\)$/m.exec(text)?.[1];
  const timeline = /^START TIMELINE: ([0-9]+)$/m.exec(text)?.[1];
  if (lsn === undefined || timeline === undefined) {
    throw new Error(`backup_label names no start of the WAL: ${JSON.stringify(text)}`);
  }
  return { startLsn: parseLsn(lsn), timeline: Number(timeline) };
}
