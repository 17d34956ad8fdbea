/** What one call may bring; bytes are counted as PostgreSQL stores them, and only there. */
import { SqlError } from "./sql-error.ts";

const PROGRAM_LIMIT_EXCEEDED = "54000";

export function limitEntries(nodeId: number, count: number): void {
  if (count <= 512) return;
  throw new SqlError(PROGRAM_LIMIT_EXCEEDED, `node ${nodeId} sends ${count} entries in one call`);
}

export function limitParts(nodeId: number, part: number, parts: number): void {
  if (part <= parts && parts <= 65536) return;
  throw new SqlError(PROGRAM_LIMIT_EXCEEDED, `node ${nodeId} sends part ${part} of ${parts}`);
}
