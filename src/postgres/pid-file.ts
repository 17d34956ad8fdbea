/** What a server says about itself in `postmaster.pid`: one line each, the last one its status. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isMissing } from "./files.ts";

export interface PidFile {
  readonly pid: number;
  /** Line 3: seconds since 1970. Only tells one run from another. */
  readonly startedAt: string | undefined;
  readonly port: number | undefined;
  /** Line 6: the first of its addresses, empty when it has none; absent until that is known. */
  readonly listenAddress: string | undefined;
  /** Line 7: key and id of the shared memory segment every process of the server is attached to. */
  readonly segment: { readonly key: string; readonly id: string } | undefined;
  /** Line 8: `starting`, `standby`, `ready` or `stopping`. */
  readonly status: string | undefined;
}

/**
 * Undefined when there is no file, or it holds no pid yet. Sync: one small file, read on each poll.
 */
export function readPidFile(dataDir: string): PidFile | undefined {
  return readLockFile(join(dataDir, "postmaster.pid"));
}

/** The same of any lock file: the one beside a socket is written alike. */
export function readLockFile(path: string): PidFile | undefined {
  let text: string;
  try {
    text = readFileSync(path, "latin1");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  const lines = text.split("\n").map((line) => line.trim());
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid === 0) return undefined;
  const [key, id] = (lines[6] ?? "").split(/\s+/);
  return {
    // A server in single-user mode notes its pid as a negative number.
    pid: Math.abs(pid),
    startedAt: lines[2] || undefined,
    port: Number(lines[3]) || undefined,
    // A file ends with a newline: what follows the last one is no line.
    listenAddress: lines.slice(0, -1)[5],
    segment: key && id ? { key, id } : undefined,
    status: lines[7] || undefined,
  };
}
