/** Proof that a server process has taken a signal and gone back to sleep: what the server shows may be older. */
import { readFileSync } from "node:fs";
import { isMissing } from "../postgres/files.ts";
import { processInfo, signalPending } from "../postgres/process-tree.ts";

/** One look at a process that waits. */
export interface Rest {
  /** It sleeps, and no reload is waiting for it. */
  readonly asleep: boolean;
  /** How often it went to sleep of its own will; undefined where the system does not tell. */
  readonly sleeps: number | undefined;
}

/**
 * A signal makes a sleeping process runnable at once, so one that is asleep and has none pending has handled every
 * earlier one, be the machine ever so loaded. Where there is no /proc only `wait_event` is left to believe.
 */
export function restOf(pid: number): Rest {
  if (process.platform !== "linux") return { asleep: true, sleeps: undefined };
  const pending = signalPending(pid, "SIGHUP");
  const asleep = processInfo(pid)?.state === "S" && !pending;
  return { asleep, sleeps: sleepsOf(pid) };
}

function sleepsOf(pid: number): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    const count = /^voluntary_ctxt_switches:\s*(\d+)$/m.exec(status)?.[1];
    return count === undefined ? undefined : Number(count);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
