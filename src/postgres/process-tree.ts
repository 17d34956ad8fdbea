/**
 * Which processes belong to a data directory. Neither process group nor parent finds them all
 * (H24): targets are PostgreSQL processes whose working directory is the data directory, all their
 * descendants, and whatever runs in a session one of them has led. A process is a (pid, start time)
 * pair, and a zombie is no process (H27).
 */
import { readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { constants } from "node:os";
import { basename } from "node:path";
import type { Binaries } from "./binaries.ts";
import { hasCode, isMissing } from "./files.ts";
import { readPidFile } from "./pid-file.ts";
import { runProgram } from "./run.ts";

export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
  /** One letter, as in `ps`: T is stopped, D waits for a disk, Z and X are dead. */
  readonly state: string;
  /** Clock ticks between boot and start; with the pid it names a process for ever. */
  readonly startTicks: string;
}

/** A process and what `ps` shows as its command. */
export interface ChildInfo extends ProcessInfo {
  readonly title: string;
}

const hasProc = process.platform === "linux";
/**
 * Between two rests of the event loop, which a machine with thousands of processes must not hold up
 * (H63).
 */
const SCAN_BATCH = 100;

/**
 * What is known of a pid now; undefined when it is gone. A zombie is still known: ask `isAlive`.
 */
export function processInfo(pid: number): ProcessInfo | undefined {
  if (!hasProc) return answersSignals(pid) ? stranger(pid) : undefined;
  const text = readProc(pid, "stat");
  if (text === undefined) return undefined;
  // The name stands in parentheses and may hold some itself.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state = "X", parent = "", , session = ""] = fields;
  const startTicks = fields[19] ?? "";
  return { pid, parent: Number(parent), session: Number(session), state, startTicks };
}

/**
 * Whether this very process still runs (or could, once continued): the pid was not reused, and it
 * is no zombie.
 */
export function isAlive({ pid, startTicks }: Pick<ProcessInfo, "pid" | "startTicks">): boolean {
  if (!hasProc) return answersSignals(pid);
  const info = processInfo(pid);
  return info !== undefined && info.startTicks === startTicks && lives(info);
}

/**
 * Send a signal to this very process; false when it is gone. Throws when it may not be signalled.
 */
export function sendSignal(
  target: Pick<ProcessInfo, "pid" | "startTicks">,
  signal: NodeJS.Signals,
): boolean {
  if (!isAlive(target)) return false;
  try {
    return process.kill(target.pid, signal);
  } catch (error) {
    // It ended by itself between the look and the signal.
    if (hasCode(error, "ESRCH")) return false;
    throw error;
  }
}

/** The direct children of a process, zombies left out. */
export async function childrenOf(pid: number): Promise<ChildInfo[]> {
  const children = (await everyProcess()).filter(({ parent }) => parent === pid);
  return children.map((child) => ({ ...child, title: titleOf(child.pid) }));
}

/**
 * The children the kernel lists, at the price of one read, grandchildren and orphans not among
 * them. Complete only while `pid` cannot fork, and empty on kernels without that list: a start,
 * never a proof.
 */
export function listedChildren(pid: number): ProcessInfo[] {
  const pids = (hasProc ? readProc(pid, `task/${pid}/children`) : undefined) ?? "";
  return pids
    .split(" ")
    .filter((text) => /^\d+$/.test(text))
    .map((text) => processInfo(Number(text)))
    .filter((info) => info !== undefined)
    .filter(lives);
}

/**
 * Whether a signal sent to `pid` has not been taken yet. False also when the process is gone, and
 * always where there is no /proc: it proves something only of a process that is known to live, on
 * Linux.
 */
export function signalPending(pid: number, signal: NodeJS.Signals): boolean {
  const status = hasProc ? readProc(pid, "status") : undefined;
  const sets = [...(status ?? "").matchAll(/^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm)];
  const bit = 1n << BigInt(constants.signals[signal] - 1);
  return sets.some(([, set = "0"]) => (BigInt(`0x${set}`) & bit) !== 0n);
}

/**
 * Every live process of a data directory, whatever became of its postmaster. `formerly` are pids
 * found in it before: the programs an archiver or COPY started stay in the session of a backend
 * that is dead by now.
 */
export async function serverProcesses(
  { dataDir, binaries }: { readonly dataDir: string; readonly binaries: Binaries },
  formerly: ReadonlySet<number> = new Set(),
): Promise<ProcessInfo[]> {
  const all = await everyProcess();
  // pg_rewind works there too, and outlives whoever started it: nothing may be done beside it (H04).
  const names = [nameOf(binaries), "pg_rewind"];
  const belongs = hasProc
    ? inDirectory(dataDir, names)
    : await inDirectoryByLsof(dataDir, names, all);
  const found = new Map<number, ProcessInfo>();
  const pids = new Set(all.map(({ pid }) => pid));
  const left = ({ session }: ProcessInfo) => formerly.has(session) && !pids.has(session);
  const queue = all.filter((row) => belongs(row) || left(row));
  for (let row = queue.pop(); row !== undefined; row = queue.pop()) {
    const { pid } = row;
    if (pid === process.pid || found.has(pid)) continue;
    found.set(pid, row);
    queue.push(...all.filter(({ parent, session }) => parent === pid || session === pid));
  }
  return [...found.values()];
}

/** Whether a pid is a PostgreSQL process at work in this data directory. */
export async function runsIn(pid: number, dataDir: string, binaries: Binaries): Promise<boolean> {
  const info = processInfo(pid);
  if (info === undefined || !lives(info)) return false;
  if (hasProc) return inDirectory(dataDir, [nameOf(binaries)])(info);
  return (await inDirectoryByLsof(dataDir, [nameOf(binaries)], [info]))(info);
}

/**
 * The postmaster that `postmaster.pid` names, if it is alive and really one of this data directory.
 */
export async function postmasterOf(
  dataDir: string,
  binaries: Binaries,
): Promise<ProcessInfo | undefined> {
  const pid = readPidFile(dataDir)?.pid;
  if (pid === undefined || !(await runsIn(pid, dataDir, binaries))) return undefined;
  return processInfo(pid);
}

type Belongs = (row: ProcessInfo) => boolean;

/**
 * By the folder itself, not by its path (mounts may show it under another), and by the executable's
 * name: a server started before an upgrade moved the programs is one of ours too.
 */
function inDirectory(dataDir: string, executables: readonly string[]): Belongs {
  const dir = statSync(dataDir, { bigint: true, throwIfNoEntry: false });
  return ({ pid }) => {
    try {
      const exe = readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, "");
      if (!executables.includes(basename(exe))) return false;
      const cwd = statSync(`/proc/${pid}/cwd`, { bigint: true, throwIfNoEntry: false });
      if (dir !== undefined && cwd?.ino === dir.ino && cwd.dev === dir.dev) return true;
      // Removed under it: whatever stands in its place by now, that process is one of the old one's.
      return readlinkSync(`/proc/${pid}/cwd`) === `${dataDir} (deleted)`;
    } catch (error) {
      // Another user's process, or one that ended meanwhile: neither is a live process of our
      // server.
      if (isDenied(error) || isGone(error)) return false;
      throw error;
    }
  };
}

function nameOf(binaries: Binaries): string {
  return basename(binaries.program("postgres"));
}

async function everyProcess(): Promise<ProcessInfo[]> {
  if (!hasProc) return processesByPs();
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const rows: ProcessInfo[] = [];
  for (const [position, pid] of pids.entries()) {
    if (position % SCAN_BATCH === SCAN_BATCH - 1) await new Promise(setImmediate);
    const info = processInfo(Number(pid));
    if (info !== undefined && lives(info)) rows.push(info);
  }
  return rows;
}

/** The same table where there is no /proc. */
export async function processesByPs(): Promise<ProcessInfo[]> {
  const columns = "pid=,ppid=,stat=,lstart=";
  const { stdout } = await runProgram("ps", ["-axo", columns], { limitMs: 5000 });
  const rows = stdout.split("\n").map((line) => /^\s*(\d+)\s+(\d+)\s+(\S)\S*\s+(.+)$/.exec(line));
  return rows
    .filter((row) => row !== null)
    .map(([, pid, parent, state = "X", start = ""]) => ({
      pid: Number(pid),
      parent: Number(parent),
      session: 0,
      state,
      startTicks: start.trim(),
    }))
    .filter(lives);
}

/** Orphans have no parent to be found by; `lsof` knows working directories where /proc does not. */
async function inDirectoryByLsof(
  dataDir: string,
  executables: readonly string[],
  rows: readonly ProcessInfo[],
): Promise<Belongs> {
  const commands = executables.flatMap((name) => ["-c", name]);
  const args = ["-a", "-d", "cwd", ...commands, "-F", "pn"];
  const { stdout } = await runProgram("lsof", args, { limitMs: 5000 });
  const dir = realpathSync(dataDir);
  const here = [...stdout.matchAll(/^p(\d+)\n(?:f.*\n)?n(.*)$/gm)].filter(([, , at]) => at === dir);
  const pids = new Set(here.map(([, pid]) => Number(pid)));
  return ({ pid }) => pids.has(pid) && rows.some((row) => row.pid === pid);
}

function lives({ state }: ProcessInfo): boolean {
  return state !== "Z" && state !== "X";
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch (error) {
    if (isGone(error) || isDenied(error)) return undefined;
    throw error;
  }
}

function titleOf(pid: number): string {
  const text = hasProc ? readProc(pid, "cmdline") : undefined;
  return (text ?? "").replaceAll("\0", " ").trim();
}

function answersSignals(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, "EPERM");
  }
}

/** All that is known without /proc and without waiting: there is such a process. */
function stranger(pid: number): ProcessInfo {
  return { pid, parent: 0, session: 0, state: "R", startTicks: "" };
}

function isGone(error: unknown): boolean {
  return isMissing(error) || hasCode(error, "ESRCH");
}

function isDenied(error: unknown): boolean {
  return hasCode(error, "EACCES") || hasCode(error, "EPERM");
}
