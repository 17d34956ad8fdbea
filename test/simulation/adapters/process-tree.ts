/**
 * `src/postgres/process-tree.ts`: the kernel's list of processes. A postmaster and its children are two of them
 * here.
 */
import type { Proc } from "../engine.ts";
import type { DataServer } from "../model/data-server.ts";
import { world } from "../world.ts";

export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
  readonly state: string;
  readonly startTicks: string;
}

export interface ChildInfo extends ProcessInfo {
  readonly title: string;
}

function serverOf(pid: number): DataServer | undefined {
  return [...world().servers.values()].find(
    (server) => server.proc.pid === pid || server.work.pid === pid,
  );
}

function infoOf(proc: Proc): ProcessInfo | undefined {
  if (proc.dead) return undefined;
  const state = proc.paused ? "T" : "S";
  return { pid: proc.pid, parent: 1, session: proc.pid, state, startTicks: String(proc.pid) };
}

export function processInfo(pid: number): ProcessInfo | undefined {
  const startup = startupOf(pid);
  if (startup !== undefined) {
    const rest = startup.receiver.parked() && startup.reloadsPending === 0;
    return {
      pid,
      parent: startup.proc.pid,
      session: pid,
      state: rest ? "S" : "R",
      startTicks: "1",
    };
  }
  const proc = world().procs.get(pid) ?? serverOf(pid)?.work;
  return proc === undefined ? undefined : infoOf(proc);
}

/** Pids of startup processes and checkpointers say whose they are. */
export function startupOf(pid: number): DataServer | undefined {
  if (pid < 3_000_000) return undefined;
  return [...world().servers.values()].find((server) => server.segment === pid % 1_000_000);
}

export function isAlive({ pid }: Pick<ProcessInfo, "pid" | "startTicks">): boolean {
  return processInfo(pid) !== undefined;
}

export function sendSignal(
  { pid }: Pick<ProcessInfo, "pid" | "startTicks">,
  signal: NodeJS.Signals,
): boolean {
  const { engine } = world();
  const server = serverOf(pid);
  const proc = server?.work.pid === pid ? server.work : world().procs.get(pid);
  if (proc === undefined || proc.dead) return false;
  switch (signal) {
    case "SIGKILL":
      engine.trace(proc.node, `SIGKILL ${proc.name}`);
      // A killed postmaster leaves its children; killed children leave nothing.
      engine.kill(proc);
      break;
    case "SIGSTOP":
      engine.pause(proc);
      break;
    case "SIGCONT":
      engine.resume(proc);
      break;
    case "SIGHUP":
      server?.reload();
      break;
    case "SIGINT":
    case "SIGTERM":
      server?.stop();
      break;
    case "SIGQUIT":
      server?.end();
      break;
    default:
      throw new Error(`${signal} is not simulated`);
  }
  return true;
}

export async function childrenOf(pid: number): Promise<ChildInfo[]> {
  return listedChildren(pid).map((info) => ({ ...info, title: "postgres: backends" }));
}

export function listedChildren(pid: number): ProcessInfo[] {
  const server = serverOf(pid);
  const info = server === undefined ? undefined : infoOf(server.work);
  return info === undefined ? [] : [info];
}

export function signalPending(pid: number, _signal: NodeJS.Signals): boolean {
  return (startupOf(pid)?.reloadsPending ?? 0) > 0;
}

export async function serverProcesses({
  dataDir,
}: {
  readonly dataDir: string;
}): Promise<ProcessInfo[]> {
  const { servers, starting } = world();
  const server = servers.get(dataDir);
  const procs = [starting.get(dataDir)?.proc, server?.proc, server?.work];
  return procs.flatMap((proc) => (proc === undefined ? [] : (infoOf(proc) ?? [])));
}

export async function runsIn(pid: number, dataDir: string): Promise<boolean> {
  return (await serverProcesses({ dataDir })).some((info) => info.pid === pid);
}

export async function postmasterOf(dataDir: string): Promise<ProcessInfo | undefined> {
  const { servers, starting } = world();
  const running = [starting.get(dataDir), servers.get(dataDir)].find(
    (server) => server?.proc.dead === false,
  );
  return running === undefined ? undefined : infoOf(running.proc);
}

export async function processesByPs(): Promise<ProcessInfo[]> {
  return [];
}
