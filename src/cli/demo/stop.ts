/** Stopping a demo: no failover may start meanwhile, the primary's last bytes reach the others, nothing is left. */
import { join } from "node:path";
import { type Clock, waitUntil } from "../../clock/clock.ts";
import { clusterView } from "../../db/cluster.ts";
import { pause } from "../../db/pg-replica.ts";
import type { Binaries } from "../../postgres/binaries.ts";
import { deadmanDirOf, endDeadman, stopGuarded } from "../../postgres/deadman.ts";
import { type ProcessInfo, processInfo, serverProcesses } from "../../postgres/process-tree.ts";
import { adoptServer, type Server } from "../../postgres/server.ts";
import type { DemoNode } from "./layout.ts";
import { count, type Narrator } from "./narrator.ts";
import { onAnyStore } from "./stores.ts";
import { PAUSE } from "./watch.ts";
import type { Workers } from "./workers.ts";

export interface StopOptions {
  readonly nodes: readonly DemoNode[];
  readonly binaries: Binaries;
  readonly clock: Clock;
  readonly narrator: Narrator;
  readonly workers: Workers | undefined;
  /** Aborts at the second Ctrl-C: everything still ends, but at once. */
  readonly hurry: AbortSignal;
}

const PAUSE_LIMIT_MS = 3000;
const FAST_LIMIT_MS = 15_000;
const HURRY_LIMIT_MS = 5000;

export async function stopAll(options: StopOptions): Promise<void> {
  const { nodes, narrator, workers, hurry } = options;
  const told = (number: number, what: string) => {
    if (number > 0) narrator.say("demo", `${count(number, what)} stopped`);
  };
  const primary =
    hurry.aborted || workers === undefined ? undefined : await pauseFailovers(options);
  told((await workers?.stop(hurry)) ?? 0, "worker");
  const dirs = nodes.flatMap(({ config }) =>
    config.data === undefined
      ? []
      : [{ id: config.node.id, dir: config.data.dir, deadman: deadmanDirOf(config.dir) }],
  );
  const first = dirs.filter(({ id }) => id === primary);
  const others = dirs.filter(({ id }) => id !== primary);
  const stopped = await stopServers(first, options);
  told(stopped + (await stopServers(others, options)), "data server");
  const controls = nodes.map(({ config }) => ({ dir: config.control.dir }));
  told(await stopServers(controls, options), "control store");
  const unfinished = nodes.flatMap(({ config }) => [
    join(config.dir, "data.new"),
    `${config.control.dir}.new`,
  ]);
  await sweep([...[...dirs, ...controls].map(({ dir }) => dir), ...unfinished], options);
  await Promise.all(dirs.map(({ deadman }) => endDeadman(deadman, options.clock)));
}

/** Commit the pause; tells which node is primary. Without a quorum there is no failover to prevent. */
async function pauseFailovers({ nodes, narrator }: StopOptions): Promise<number | undefined> {
  let primary: number | undefined;
  const paused = await onAnyStore(nodes, PAUSE_LIMIT_MS, async (store) => {
    const { paused_why: why, epochs } = await clusterView(store);
    primary ??= epochs[0]?.node_id ?? undefined;
    if (epochs.length === 0) return "nothing to pause";
    if (why === null) await pause(store, PAUSE);
    return "failovers paused";
  });
  narrator.say("demo", paused ?? "failovers not paused: there is no quorum");
  return primary;
}

interface Place {
  readonly dir: string;
  /** Of a data server: where its deadman lives. */
  readonly deadman?: string;
}

/** How many ran. */
async function stopServers(places: readonly Place[], options: StopOptions): Promise<number> {
  const { binaries } = options;
  const stopped = await Promise.all(
    places.map(async ({ dir, deadman }) => {
      const server = await adoptServer({ binaries, dataDir: dir });
      if (server === undefined) return 0;
      await stopServer(server, deadman, options);
      return 1;
    }),
  );
  return stopped.reduce((sum: number, one) => sum + one, 0);
}

async function stopServer(
  server: Server,
  deadman: string | undefined,
  { hurry, clock }: StopOptions,
): Promise<void> {
  // A frozen one (SIGSTOP) hears nothing: it is swept.
  if (processInfo(server.pid)?.state === "T") return;
  const atOnce = () => server.stop("immediate", HURRY_LIMIT_MS).catch(() => undefined); // swept later
  if (hurry.aborted) return await atOnce();
  const hurried = () => void atOnce();
  hurry.addEventListener("abort", hurried, { once: true });
  try {
    const limitMs = FAST_LIMIT_MS;
    if (deadman === undefined) await server.stop("fast", limitMs);
    else await stopGuarded(server, { dir: deadman, clock, limitMs });
  } catch {
    await atOnce(); // a client that does not let go
  } finally {
    hurry.removeEventListener("abort", hurried);
  }
}

/** Whatever still works in our folders: half-started servers, orphans of killed ones. All of it is ours. */
async function sweep(dirs: readonly string[], { binaries, clock, narrator }: StopOptions) {
  let killed = 0;
  const wait = { clock, everyMs: 20, limitMs: HURRY_LIMIT_MS };
  await waitUntil("every process of the demo is gone", wait, async () => {
    const left = await leftovers(dirs, binaries);
    killed += left.length;
    for (const { pid } of left) kill(pid);
    return left.length === 0;
  });
  if (killed > 0) narrator.say("demo", `ended what was left over: ${count(killed, "signal")} sent`);
}

async function leftovers(dirs: readonly string[], binaries: Binaries): Promise<ProcessInfo[]> {
  const found = await Promise.all(dirs.map((dataDir) => serverProcesses({ dataDir, binaries })));
  return found.flat();
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // gone already: good
  }
}
