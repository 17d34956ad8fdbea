/** The server's processes as the kernel shows them: what the server itself shows may be older, or less. */
import { readFileSync } from "node:fs";
import { hasCode, isMissing } from "../postgres/files.ts";
import { childrenOf, processInfo, signalPending } from "../postgres/process-tree.ts";

/** One look at a process that waits. */
export interface Rest {
  /** It sleeps, and no reload is waiting for it. */
  readonly asleep: boolean;
  /** How often it went to sleep of its own will; undefined where the system does not tell. */
  readonly sleeps: number | undefined;
}

/** Whether `restOf` is told by the processes; elsewhere it believes what it is told otherwise. */
export const tellsRest = process.platform === "linux";

/**
 * A signal makes a sleeping process runnable at once, so one that is asleep and has none pending has handled every
 * earlier one, be the machine ever so loaded. Where there is no /proc only `wait_event` is left to believe.
 */
export function restOf(pid: number): Rest {
  if (!tellsRest) return { asleep: true, sleeps: undefined };
  const pending = signalPending(pid, "SIGHUP");
  const asleep = processInfo(pid)?.state === "S" && !pending;
  return { asleep, sleeps: sleepsOf(pid) };
}

/** Children of a process: the kernel's own list where it keeps one, else by a scan of all. */
export async function childPids(pid: number): Promise<number[]> {
  const listed = textOf(`/proc/${pid}/task/${pid}/children`);
  if (listed === undefined) return (await childrenOf(pid)).map((child) => child.pid);
  return listed
    .split(" ")
    .filter((word) => word !== "")
    .map(Number);
}

/** What the children of a process call themselves; undefined where the system does not tell. */
export async function childTitles(pid: number): Promise<string[] | undefined> {
  if (!tellsRest) return undefined;
  return (await childPids(pid)).map(titleOf);
}

/** The WAL segment a recovering server waits for, without its timeline; undefined while it waits for none. */
export async function awaitedSegment(postmaster: number): Promise<string | undefined> {
  for (const title of (await childTitles(postmaster)) ?? []) {
    const found = /startup waiting for [0-9A-F]{8}([0-9A-F]{16})/.exec(title);
    if (found !== null) return found[1];
  }
  return undefined;
}

/** What `ps` shows as the command; empty when the process is gone or hides it. */
export function titleOf(pid: number): string {
  return (textOf(`/proc/${pid}/cmdline`) ?? "").replaceAll("\0", " ").trim();
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    if (isMissing(error) || hasCode(error, "ESRCH")) return undefined;
    throw error;
  }
}

function sleepsOf(pid: number): number | undefined {
  const status = textOf(`/proc/${pid}/status`) ?? "";
  const count = /^voluntary_ctxt_switches:\s*(\d+)$/m.exec(status)?.[1];
  return count === undefined ? undefined : Number(count);
}
