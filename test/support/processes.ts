/** Processes as /proc shows them: found by parent, working directory and recorded (pid, start time), never by name. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { NotYet, until } from "./until.ts";

export interface Process {
  readonly pid: number;
  readonly ppid: number;
  /** Clock ticks since boot at which it started: with the pid, an identity. */
  readonly startTicks: string;
  /** One letter of /proc/<pid>/stat; Z and X are gone. */
  readonly state: string;
  readonly cwd: string;
  /** Arguments, joined by blanks; of a server's child this is its title. */
  readonly command: string;
}

const gone = (state: string) => state === "Z" || state === "X";

/** The process, or undefined if there is none; a zombie is none. */
export function readProcess(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const state = fields[0] ?? "X";
    if (gone(state)) return undefined;
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
    const ppid = Number(fields[1]);
    return { pid, ppid, state, startTicks: fields[19] ?? "", cwd: readCwd(pid), command };
  } catch {
    return undefined; // it ended between two reads: that is the answer
  }
}

function readCwd(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return ""; // ending, or not ours to look at
  }
}

export function allProcesses(): Process[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readProcess(Number(name)))
    .filter((process) => process !== undefined);
}

/** The same process still runs: pid and start time agree, and it is no zombie (H27). */
export function stillAlive(process: Process): boolean {
  return readProcess(process.pid)?.startTicks === process.startTicks;
}

/** `roots` and all their descendants, by parent. */
export function withDescendants(all: readonly Process[], roots: readonly number[]): Process[] {
  const wanted = new Set(roots);
  for (let size = -1; size !== wanted.size; ) {
    size = wanted.size;
    for (const { pid, ppid } of all) if (wanted.has(ppid)) wanted.add(pid);
  }
  return all.filter(({ pid }) => wanted.has(pid));
}

/** Processes that work in `folder` or below it: a server's children do, whoever their parent is now. */
export function workingIn(all: readonly Process[], folder: string): Process[] {
  return all.filter(({ cwd }) => cwd === folder || cwd.startsWith(`${folder}/`));
}

/** Send a signal to exactly these processes; one that is gone already is no error. */
export function signalAll(processes: readonly Process[], signal: NodeJS.Signals): void {
  for (const target of processes) {
    if (!stillAlive(target)) continue;
    try {
      process.kill(target.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

/**
 * Signal what was listed just now, in one go; returns the monotonic time (milliseconds) of the first signal: the
 * moment of the fault. A process that ended meanwhile is no error.
 */
export function signalAtOnce(fresh: readonly Process[], signal: NodeJS.Signals): number {
  const at = performance.now();
  for (const { pid } of fresh) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
  return at;
}

/**
 * Signal all that `list` finds, until it finds nothing new: a fork may race with the list (H25). Returns everything
 * that was signalled.
 */
export function signalTree(list: () => readonly Process[], signal: NodeJS.Signals): Process[] {
  const done = new Map<string, Process>();
  for (let round = 0; round < 20; round++) {
    const fresh = list().filter(({ pid, startTicks }) => !done.has(`${pid}.${startTicks}`));
    if (fresh.length === 0) break;
    signalAll(fresh, signal);
    for (const one of fresh) done.set(`${one.pid}.${one.startTicks}`, one);
  }
  return [...done.values()];
}

/** Wait until each of these is gone. */
export async function untilGone(processes: readonly Process[], limitMs: number): Promise<void> {
  await until("processes are gone", { limitMs, everyMs: 5 }, () => {
    const left = processes.filter(stillAlive);
    if (left.length > 0) throw new NotYet(left.map(describeProcess).join("; "));
    return true;
  });
}

/** Wait until each of these is stopped (state T), which shows that a freeze took effect. */
export async function untilFrozen(processes: readonly Process[], limitMs: number): Promise<void> {
  await until("processes are frozen", { limitMs, everyMs: 2 }, () => {
    const running = processes.filter(stillAlive).filter(({ pid }) => {
      const state = readProcess(pid)?.state;
      return state !== undefined && state !== "T" && state !== "t";
    });
    if (running.length > 0) throw new NotYet(running.map(describeProcess).join("; "));
    return true;
  });
}

export function describeProcess({ pid, ppid, state, command }: Process): string {
  return `${pid} (parent ${ppid}, ${state}) ${command.slice(0, 120)}`;
}
