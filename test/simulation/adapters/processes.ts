/** `src/agent/processes.ts`: how the kernel shows the server's own processes. */
import type { DataServer } from "../model/data-server.ts";
import { world } from "../world.ts";
import { startupOf } from "./process-tree.ts";

export interface Rest {
  readonly asleep: boolean;
  readonly sleeps: number | undefined;
}

/** Told by the simulated kernel. */
export const tellsRest = true;

function serverOf(postmaster: number): DataServer | undefined {
  return [...world().servers.values()].find(({ proc }) => proc.pid === postmaster);
}

export function restOf(pid: number): Rest {
  const postmaster = serverOf(pid);
  if (postmaster !== undefined) return { asleep: !postmaster.reloading, sleeps: undefined };
  const server = startupOf(pid);
  if (server === undefined) return { asleep: true, sleeps: undefined };
  const asleep =
    pid >= 4_000_000
      ? !server.checkpointing && server.publishing === 0
      : server.receiver.parked() && server.reloadsPending === 0;
  return { asleep, sleeps: server.receiver.rests() };
}

export async function childPids(pid: number): Promise<number[]> {
  const server = serverOf(pid);
  return [...(server?.sessions ?? [])].map(({ id }) => 1_000_000 + id);
}

/** A walsender that is not done is one that a standby waits for. */
export async function childTitles(pid: number): Promise<string[]> {
  const server = serverOf(pid);
  return server === undefined || server.senders.drained() ? [] : ["postgres: walsender"];
}

export function titleOf(_pid: number): string {
  return "postgres: client backend";
}

/** The model's startup process waits for no segment by name. */
export async function awaitedSegment(): Promise<undefined> {
  return undefined;
}
