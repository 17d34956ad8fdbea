/**
 * A running PostgreSQL: started as our own child in a session of its own, or found again after we
 * were restarted.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, monotonicClock, waitUntil } from "../clock/clock.ts";
import type { Binaries } from "./binaries.ts";
import { hasCode, namesIn, removeTree } from "./files.ts";
import type { Owner } from "./owner.ts";
import { readLockFile, readPidFile } from "./pid-file.ts";
import { NICE, putNice } from "./priority.ts";
import {
  isAlive,
  type ProcessInfo,
  postmasterOf,
  processInfo,
  runsIn,
  sendSignal,
} from "./process-tree.ts";
import { serverEnvironment } from "./run.ts";

export type ServerStatus = "starting" | "ready" | "standby" | "stopping" | "gone";
export type StopMode = "smart" | "fast" | "immediate";

/** One run of a postmaster, from start to exit; it outlives us. */
export interface Server {
  readonly pid: number;
  /** Clock ticks between boot and start: with the pid it names this run (H27). */
  readonly startTicks: string;
  readonly dataDir: string;
  /** Started by somebody before us: its exit is seen by polling, up to 50 ms late. */
  readonly adopted: boolean;
  /**
   * Resolves when the postmaster is gone. Its backends may not be: only a fence proves that (H05).
   */
  readonly exited: Promise<void>;
  alive(): boolean;
  /** Read the configuration again; in force only later (H17). Throws `ServerGone`. */
  reload(): void;
  /** Signal, and wait until it is gone. Throws `WaitTimeout` when it is not within `limitMs`. */
  stop(mode: StopMode, limitMs: number): Promise<void>;
  /**
   * As line 8 of `postmaster.pid` has it; a hot standby is `ready`, `standby` takes no connections.
   */
  status(): ServerStatus;
  /** The end of what this run has logged; empty for an adopted one. */
  logTail(): Promise<string>;
}

/** The server ended, or was not there; `logTail` is what it said last. */
export class ServerGone extends Error {
  override readonly name = "ServerGone";
  readonly logTail: string;
  constructor(message: string, logTail = "", options?: ErrorOptions) {
    super(logTail === "" ? message : `${message}\n${logTail}`, options);
    this.logTail = logTail;
  }
}

export interface StartOptions {
  readonly binaries: Binaries;
  readonly dataDir: string;
  readonly owner: Owner | undefined;
  /** Appended to; created when absent. */
  readonly logFile: string;
  /** Where its sockets are, and nobody else's. */
  readonly socketDir?: string;
  /**
   * Such as `["-c", "hba_file=…"]`: the command line outranks every file, `postgresql.auto.conf`
   * included.
   */
  readonly args?: readonly string[];
  /** Default: that of others. */
  readonly nice?: number;
}

const STOP_SIGNALS = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;
const READY_POLL_MS = 2;
const SAME_MOMENT_MS = 1;
const ADOPTED_POLL_MS = 50;
const REAP_LIMIT_MS = 10_000;
const TAIL_BYTES = 2000;

/**
 * Resolves once the process exists; whether it gets ready is `waitReady`'s to say. Throws
 * `ServerGone`.
 */
export async function startServer(options: StartOptions): Promise<Server> {
  const { binaries, dataDir, owner, logFile, socketDir, args = [], nice = NICE.others } = options;
  const log = await open(logFile, "a", 0o600);
  try {
    if (owner !== undefined) await log.chown(owner.uid, owner.gid);
    const { size: logStart } = await log.stat();
    const former = readPidFile(dataDir);
    const locks = former === undefined ? [] : [former];
    if (socketDir !== undefined) {
      const beside = (await socketLocks(socketDir)).map(readLockFile);
      locks.push(...beside.filter((lock) => lock !== undefined));
    }
    for (const { pid } of locks) await untilReaped(pid);
    const program = binaries.program("postgres");
    // The working directory is how a fence finds the process, even before it has read its own
    // settings.
    const child = spawn(program, ["-D", dataDir, ...args], {
      cwd: dataDir,
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
      env: serverEnvironment(),
      ...(owner === undefined ? {} : { uid: owner.uid, gid: owner.gid }),
    });
    const exited = exitOf(child);
    const pid = await pidOf(child, program);
    putNice(pid, nice);
    child.unref();
    const startTicks = processInfo(pid)?.startTicks ?? "";
    const tail = () => tailOf(logFile, logStart);
    const rest = { dataDir, adopted: false, exited, logTail: tail };
    return describe({ pid, startTicks }, rest, former?.pid === pid ? former.startedAt : undefined);
  } finally {
    await log.close();
  }
}

/** They outlive a data directory that was lost with its own lock file. */
async function socketLocks(socketDir: string): Promise<string[]> {
  const names = (await namesIn(socketDir)).filter((name) => name.endsWith(".lock"));
  return names.map((name) => join(socketDir, name));
}

/**
 * Lock files that a run left which is proved to have ended. The pid in them may be another's by now, or a crash of the
 * machine may have emptied them: PostgreSQL would not start for either. Its shared memory guards the data directory
 * without them (H26).
 */
export async function dropStaleLocks({
  binaries,
  dataDir,
  socketDir,
}: Pick<StartOptions, "binaries" | "dataDir"> & { readonly socketDir: string }): Promise<void> {
  for (const path of [join(dataDir, "postmaster.pid"), ...(await socketLocks(socketDir))]) {
    const pid = readLockFile(path)?.pid;
    if (pid === undefined || !(await runsIn(pid, dataDir, binaries))) await removeTree(path);
  }
}

/** A dead postmaster that nobody has reaped yet still holds its lock file: a start would fail (H27). */
async function untilReaped(pid: number): Promise<void> {
  const wait = { clock: monotonicClock, everyMs: READY_POLL_MS, limitMs: REAP_LIMIT_MS };
  await waitUntil(`process ${pid} reaped`, wait, () => processInfo(pid)?.state !== "Z");
}

/**
 * The server that runs on this data directory already, whoever started it; undefined when there is
 * none.
 */
export async function adoptServer({
  binaries,
  dataDir,
}: Pick<StartOptions, "binaries" | "dataDir">): Promise<Server | undefined> {
  const found = await postmasterOf(dataDir, binaries);
  if (found === undefined) return undefined;
  const exited = pollExit(found);
  return describe(found, { dataDir, adopted: true, exited, logTail: async () => "" });
}

/**
 * Wait until it accepts connections. Throws `ServerGone` when it exits first, `WaitTimeout` after
 * `limitMs`.
 */
export function waitReady(
  server: Server,
  { clock, limitMs, signal }: { clock: Clock; limitMs: number; signal?: AbortSignal | undefined },
): Promise<"ready" | "standby"> {
  const wait = {
    clock,
    limitMs,
    everyMs: READY_POLL_MS,
    ...(signal === undefined ? {} : { signal }),
  };
  return waitUntil(`server of ${server.dataDir} ready`, wait, async () => {
    const status = server.status();
    if (status === "gone") {
      throw new ServerGone(
        `the server of ${server.dataDir} ended before it was ready`,
        await server.logTail(),
      );
    }
    return status === "ready" || status === "standby" ? status : undefined;
  });
}

type Identity = Pick<ProcessInfo, "pid" | "startTicks">;
type Rest = Pick<Server, "dataDir" | "adopted" | "exited" | "logTail">;

function describe({ pid, startTicks }: Identity, rest: Rest, formerRun?: string): Server {
  const { dataDir, adopted, exited } = rest;
  let seenAt = Number.NEGATIVE_INFINITY;
  // Asked several times a turn: to have been alive a moment ago is enough, to be gone is always looked at.
  const alive = () => {
    if (monotonicClock.now() - seenAt < SAME_MOMENT_MS) return true;
    const seen = isSeen({ pid, startTicks });
    if (seen) seenAt = monotonicClock.now();
    return seen !== false;
  };
  return {
    pid,
    startTicks,
    ...rest,
    alive,
    reload() {
      if (sendSignal({ pid, startTicks }, "SIGHUP")) return;
      throw new ServerGone(`the server of ${dataDir} is gone: nothing to reload`);
    },
    async stop(mode, limitMs) {
      sendSignal({ pid, startTicks }, STOP_SIGNALS[mode]);
      const wait = { clock: monotonicClock, everyMs: READY_POLL_MS, limitMs };
      // A child is gone once it is reaped: until then its pid and its lock file still count for
      // PostgreSQL (H27).
      let reaped = adopted;
      void exited.then(() => {
        reaped = true;
      });
      await waitUntil(`${mode} stop of the server of ${dataDir}`, wait, () => reaped && !alive());
    },
    status: () => statusOf({ pid, startTicks }, dataDir, formerRun),
  };
}

/**
 * `formerRun` is the start time in the file of an earlier run with this very pid: in containers
 * pids repeat.
 */
function statusOf(identity: Identity, dataDir: string, formerRun?: string): ServerStatus {
  const told = readPidFile(dataDir);
  if (!isAlive(identity)) return "gone";
  if (told?.pid !== identity.pid || told.startedAt === formerRun) return "starting";
  switch (told.status) {
    case "ready":
    case "standby":
    case "stopping":
      return told.status;
    default:
      return "starting";
  }
}

function exitOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.once("exit", () => resolve()));
}

function pidOf(child: ChildProcess, program: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("spawn", () => resolve(child.pid as number));
    child.once("error", (cause) =>
      reject(new ServerGone(`${program}: ${cause.message}`, "", { cause })),
    );
  });
}

/** Whether it lives; undefined where that cannot be seen: who has no file left to look with has not seen it gone. */
function isSeen(identity: Identity): boolean | undefined {
  try {
    return isAlive(identity);
  } catch (error) {
    if (hasCode(error, "EMFILE") || hasCode(error, "ENFILE")) return undefined;
    throw error;
  }
}

/**
 * Not our child: nobody tells us, and whoever reaps it may be slow, so its state is what counts.
 */
function pollExit(identity: Identity): Promise<void> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (isSeen(identity) !== false) return;
      clearInterval(timer);
      resolve();
    }, ADOPTED_POLL_MS);
    timer.unref();
  });
}

async function tailOf(logFile: string, from: number): Promise<string> {
  const text = await readFile(logFile);
  return text
    .subarray(Math.max(from, text.length - TAIL_BYTES))
    .toString("utf8")
    .trimEnd();
}
