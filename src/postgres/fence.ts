/**
 * Fence a data server: end every process of its data directory and prove it (H24 to H27). A dead
 * postmaster or a closed port proves nothing: a busy backend lives on without either, and goes on
 * committing (H05, H26).
 */

import { readFileSync } from "node:fs";
import { connect } from "node:net";
import type { Clock } from "../clock/clock.ts";
import type { Binaries } from "./binaries.ts";
import { hasCode, isMissing } from "./files.ts";
import { type PidFile, readPidFile } from "./pid-file.ts";
import {
  isAlive,
  listedChildren,
  type ProcessInfo,
  postmasterOf,
  sendSignal,
  serverProcesses,
} from "./process-tree.ts";

/** What was done and seen; made only when the fence is proved. */
export interface FenceProof {
  /** Processes that were alive when the fence began, or appeared meanwhile. */
  readonly killed: number;
  readonly tookMs: number;
  readonly evidence: string;
}

interface Target {
  readonly dataDir: string;
  readonly binaries: Binaries;
  /** Where the server listens, if it listens at all. */
  readonly port: number;
  /** The addresses it was to listen on, comma separated: for want of its own word. Default: this host's own. */
  readonly listen?: string;
}

export class FenceFailed extends Error {
  override readonly name = "FenceFailed";
}

const POLL_MS = 2;
const CONNECT_LIMIT_MS = 1000;
const CLOSED = ["ECONNREFUSED", "EADDRNOTAVAIL", "ENETUNREACH", "EHOSTUNREACH"];

/**
 * Kill and prove. The postmaster is stopped first, so that it cannot fork while the rest is listed
 * (H25), and its children are killed before anything is searched: busy backends would slow the
 * search down. SIGKILL ends stopped processes too. Throws `FenceFailed`, saying what is left, when
 * there is no proof within `limitMs` (a process in an uninterruptible wait or a frozen cgroup): the
 * caller must not claim a fence then.
 */
export async function fence({
  clock,
  limitMs,
  ...target
}: Target & { readonly clock: Clock; readonly limitMs: number }): Promise<FenceProof> {
  const started = clock.now();
  const told = readPidFile(target.dataDir);
  const ended = new Map<number, ProcessInfo>();
  kill(await firstStrike(target), ended);
  for (let emptyScans = 0; ; ) {
    const alive = await serverProcesses(target, new Set(ended.keys()));
    kill(alive, ended);
    // They need some milliseconds to end: a search meanwhile would only cost what the failover needs.
    while (alive.some(isAlive) && clock.now() - started <= limitMs) await clock.sleep(POLL_MS);
    emptyScans = alive.length === 0 ? emptyScans + 1 : 0;
    const doubt = emptyScans < 2 ? left(alive) : await doubtAbout(target, told);
    const tookMs = clock.now() - started;
    if (doubt === undefined) {
      return { killed: ended.size, tookMs, evidence: describe(ended.size, target.port, told) };
    }
    if (tookMs > limitMs) {
      throw new FenceFailed(`${target.dataDir}: no proof within ${limitMs} ms: ${doubt}`);
    }
    await clock.sleep(POLL_MS);
  }
}

/**
 * Whether no process of the data directory is left, by the same proof as `fence`; kills nothing.
 */
export async function provedGone(target: Target): Promise<boolean> {
  const told = readPidFile(target.dataDir);
  for (let scan = 0; scan < 2; scan += 1) {
    if ((await serverProcesses(target)).length > 0) return false;
  }
  return (await doubtAbout(target, told)) === undefined;
}

/**
 * The stopped postmaster and its children; nobody when it is dead already: its orphans need the
 * search.
 */
async function firstStrike({ dataDir, binaries }: Target): Promise<ProcessInfo[]> {
  const postmaster = await postmasterOf(dataDir, binaries);
  if (postmaster === undefined || !sendSignal(postmaster, "SIGSTOP")) return [];
  return [...listedChildren(postmaster.pid), postmaster];
}

function kill(targets: readonly ProcessInfo[], ended: Map<number, ProcessInfo>): void {
  for (const found of targets) {
    if (sendSignal(found, "SIGKILL")) ended.set(found.pid, found);
  }
}

function left(alive: readonly ProcessInfo[]): string {
  if (alive.length === 0) return "only one scan without a process";
  const some = alive.slice(0, 5).map(({ pid, state }) => `${pid} (state ${state})`);
  return `${alive.length} processes are left: ${some.join(", ")}`;
}

/** What still speaks against the proof when no process was found; undefined when nothing does. */
async function doubtAbout(
  { port, listen }: Target,
  told: PidFile | undefined,
): Promise<string | undefined> {
  const attached = attachedTo(told?.segment);
  if (attached > 0) return `${attached} processes are attached to segment ${told?.segment?.id}`;
  for (const address of addressesOf(told, listen)) {
    if (!(await refuses(address, port))) return `${address} port ${port} does not refuse`;
  }
  return undefined;
}

/** By key and id: after a reboot the id alone may be another program's. */
function attachedTo(segment: PidFile["segment"]): number {
  if (segment === undefined) return 0;
  for (const line of segments().split("\n")) {
    const [key, id, , , , , attached] = line.trim().split(/\s+/);
    // The kernel prints the key as a signed number, the server as an unsigned one.
    const same = id === segment.id && Number(key) >>> 0 === Number(segment.key) >>> 0;
    if (same) return Number(attached);
  }
  return 0;
}

/** Empty where the kernel keeps no such list (macOS): there the processes alone are the proof. */
function segments(): string {
  try {
    return readFileSync("/proc/sysvipc/shm", "latin1");
  } catch (error) {
    if (isMissing(error)) return "";
    throw error;
  }
}

/** Elsewhere another's server may listen on that port: a gated one, for instance, listened nowhere. */
function addressesOf(told: PidFile | undefined, listen = "*"): string[] {
  const addresses = (told?.listenAddress ?? listen).split(",").map((text) => text.trim());
  const anywhere = ["*", "0.0.0.0"];
  return addresses
    .filter((address) => address !== "")
    .map((address) => (anywhere.includes(address) ? "127.0.0.1" : address));
}

/**
 * Only an error from our own kernel counts: a frozen server's port accepts and then says nothing
 * (H28). An address this host has lost since is as closed as a port nobody listens on.
 */
function refuses(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_LIMIT_MS });
    const answer = (refused: boolean) => {
      socket.destroy();
      resolve(refused);
    };
    socket.once("connect", () => answer(false));
    socket.once("timeout", () => answer(false));
    socket.once("error", (error) => answer(CLOSED.some((code) => hasCode(error, code))));
  });
}

function describe(killed: number, port: number, told: PidFile | undefined): string {
  const segment =
    told?.segment === undefined
      ? "no shared memory segment known"
      : `nobody attached to shared memory segment ${told.segment.id}`;
  const closed = told?.listenAddress === "" ? "it listened nowhere" : `port ${port} refused`;
  return `${killed} processes killed, two scans found none, ${segment}, ${closed}`;
}
