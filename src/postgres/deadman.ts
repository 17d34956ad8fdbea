/**
 * The deadman: a small process of its own that ends this node's data server when the primary's lease runs out, whatever
 * became of the worker (H30). It reads the lease itself, from a file that is renewed with it and by nothing else.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { uptime } from "node:os";
import { join } from "node:path";
import { type Clock, waitUntil } from "../clock/clock.ts";
import { isMissing } from "./files.ts";
import { isAlive, type ProcessInfo, processInfo, sendSignal } from "./process-tree.ts";
import { serverEnvironment } from "./run.ts";
import type { Server } from "./server.ts";

type Identity = Pick<ProcessInfo, "pid" | "startTicks">;

/** What a deadman watches over. */
export interface Guarded {
  readonly server: Identity;
  readonly dataDir: string;
  /** A watchdog device to pet while the lease lasts. */
  readonly watchdog?: string | undefined;
}

export interface ArmOptions {
  /** The node's own folder for it: the lease, who it is, what it did. */
  readonly dir: string;
  readonly logFile: string;
  readonly clock: Clock;
}

const SCRIPT = join(import.meta.dirname, "deadman.sh");
/** Nothing below it can be read where there is no /proc: there only the worker fences. */
export const HAS_DEADMAN = process.platform === "linux";
const START_LIMIT_MS = 5000;
const END_LIMIT_MS = 2000;
const STOPPING_LIMIT_MS = 2000;
const POLL_MS = 2;

/**
 * Make sure that one runs for this very server: a successor of the worker that armed it takes it over. The lease must
 * stand in its file already. Resolves once it reads it.
 */
export async function armDeadman(guarded: Guarded, options: ArmOptions): Promise<Identity> {
  const { dir, clock, logFile } = options;
  const running = readDeadman(dir);
  if (running !== undefined) {
    if (!running.frozen && sameProcess(running.server, guarded.server)) return running.deadman;
    await kill(running.deadman, clock);
  }
  const { server, dataDir, watchdog } = guarded;
  const target = [String(server.pid), server.startTicks, dataDir];
  const args = [SCRIPT, dir, ...target, ...(watchdog === undefined ? [] : [watchdog])];
  const log = await open(logFile, "a", 0o600);
  try {
    // A session of its own: what ends the worker's tree or the server's does not reach it.
    const child = spawn("/bin/sh", args, {
      detached: true,
      cwd: "/",
      stdio: ["ignore", log.fd, log.fd],
      env: serverEnvironment(),
    });
    let ended = false;
    child.once("exit", () => {
      ended = true;
    });
    child.once("error", () => {
      ended = true;
    });
    child.unref();
    const wait = { clock, everyMs: POLL_MS, limitMs: START_LIMIT_MS };
    return await waitUntil("the deadman armed", wait, () => {
      if (ended) throw new Error(`the deadman ended at once, see ${logFile}`);
      const found = readDeadman(dir);
      return found?.deadman.pid === child.pid ? found?.deadman : undefined;
    });
  } finally {
    await log.close();
  }
}

/** Disarm whatever runs for this folder; resolves when it is gone. Only once the data server is proved down. */
export async function endDeadman(dir: string, clock: Clock): Promise<boolean> {
  const running = readDeadman(dir);
  if (running === undefined) return false;
  const { deadman } = running;
  sendSignal(deadman, "SIGTERM");
  const wait = { clock, everyMs: POLL_MS, limitMs: END_LIMIT_MS };
  // Stopped, or busy with what needs no doing any more: it is ended the hard way.
  const ended = waitUntil("the deadman ends", wait, () => !isAlive(deadman));
  await ended.catch(() => kill(deadman, clock));
  return true;
}

/**
 * A clean stop that somebody asked for, with nobody left to renew the lease. The deadman goes once the server lets
 * nobody in any more and has told everyone to leave: it would kill a server that is writing its last checkpoint.
 */
export async function stopGuarded(
  server: Server,
  {
    dir,
    clock,
    limitMs,
  }: { readonly dir: string; readonly clock: Clock; readonly limitMs: number },
): Promise<void> {
  const stopped = server.stop("fast", limitMs);
  const wait = { clock, everyMs: POLL_MS, limitMs: STOPPING_LIMIT_MS };
  const stopping = waitUntil("the server stops", wait, () =>
    ["stopping", "gone"].includes(server.status()),
  );
  // One that does not even begin to (frozen, say) is the deadman's to end.
  await Promise.all([
    stopped,
    stopping.then(
      () => endDeadman(dir, clock),
      () => false,
    ),
  ]);
}

/** The deadman's folder in a node's own. */
export function deadmanDirOf(nodeDir: string): string {
  return join(nodeDir, "run", "deadman");
}

/** The deadman of this folder, whom it was armed for, and whether it stands still (H30). */
interface Running {
  readonly deadman: Identity;
  readonly server: Identity;
  readonly frozen: boolean;
}

/** Undefined where none is alive. */
export function readDeadman(dir: string): Running | undefined {
  const [pid = "", startTicks = "", server = "", serverTicks = ""] = textOf(
    join(dir, "deadman.pid"),
  ).split(/\s/);
  const deadman = { pid: Number(pid), startTicks };
  if (!/^[1-9]\d*$/.test(pid) || !isAlive(deadman)) return undefined;
  if (!textOf(`/proc/${pid}/cmdline`).includes(`\0${dir}\0`)) return undefined;
  const frozen = processInfo(deadman.pid)?.state === "T";
  return { deadman, server: { pid: Number(server), startTicks: serverTicks }, frozen };
}

/** The lease as the deadman reads it: its end, on the clock that counts the machine's sleep too. */
export class LeaseFile {
  readonly #dir: string;
  #file: FileHandle | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** The lease lasts this much longer. Written over in place; makes nothing durable (H69). */
  write(remainingMs: number): Promise<void> {
    const end = Math.floor((uptime() * 1000 + remainingMs) / 10);
    return this.#put(`${end} ${end}\n`);
  }

  /** No lease any more: a deadman that reads this ends. */
  writeOff(): Promise<void> {
    return this.#put("off off\n");
  }

  /** How much longer it lasts; undefined when none is on record. Negative when it is over. */
  remainingMs(): number | undefined {
    const [end = "", again] = textOf(join(this.#dir, "lease")).split(/\s/);
    if (end !== again || !/^\d+$/.test(end)) return undefined;
    return Number(end) * 10 - uptime() * 1000;
  }

  async close(): Promise<void> {
    await this.#writing;
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #open(): Promise<FileHandle> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const path = join(this.#dir, "lease");
    // Made when absent, and never emptied: the deadman may be reading.
    await (await open(path, "a", 0o600)).close();
    return await open(path, "r+");
  }

  #put(text: string): Promise<void> {
    const put = async () => {
      this.#file ??= await this.#open();
      await this.#file.write(text, 0);
    };
    const written = this.#writing.then(put);
    this.#writing = written.catch(() => undefined);
    return written;
  }
}

async function kill(deadman: Identity, clock: Clock): Promise<void> {
  sendSignal(deadman, "SIGKILL");
  const wait = { clock, everyMs: POLL_MS, limitMs: END_LIMIT_MS };
  await waitUntil("the deadman killed", wait, () => !isAlive(deadman));
}

function sameProcess(a: Identity, b: Identity): boolean {
  return a.pid === b.pid && a.startTicks === b.startTicks;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    if (isMissing(error) || (error as NodeJS.ErrnoException).code === "ESRCH") return "";
    throw error;
  }
}
