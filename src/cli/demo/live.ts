/** The life of a demo: from the first control store to the last stopped server. */
import type { Clock } from "../../clock/clock.ts";
import { exists } from "../../postgres/files.ts";
import { createControlStore } from "../../worker/control-store.ts";
import { CommandFailed, print } from "../command.ts";
import type { Programs } from "../programs.ts";
import { clusterFile, clusterUri, removeClusterFile, uri } from "./cluster-file.ts";
import type { Interrupts } from "./interrupts.ts";
import type { DemoNode } from "./layout.ts";
import { count, type Narrator } from "./narrator.ts";
import type { Place } from "./place.ts";
import { stopAll } from "./stop.ts";
import { startWatch } from "./watch.ts";
import { startWorkers, type Workers } from "./workers.ts";

export interface Demo extends Programs {
  readonly place: Place;
  readonly nodes: readonly DemoNode[];
  /** For the workers. */
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly narrator: Narrator;
  /** Give the folder back. */
  readonly release: () => Promise<void>;
}

/** How often pids are looked at. */
const REFRESH_MS = 200;

/** Until somebody asks to stop, or it cannot go on: then everything is stopped first, and it throws. */
export async function live(demo: Demo, interrupts: Interrupts): Promise<void> {
  const { place, narrator } = demo;
  const running: Running = { workers: undefined, ready: false, fresh: false };
  let failure: unknown;
  try {
    await removeClusterFile(place.dir);
    const made = await initialise(demo, interrupts.stop);
    running.fresh = made === demo.nodes.length;
    await serve(demo, running, interrupts);
  } catch (error) {
    failure = error;
  }
  narrator.say("demo", interrupts.stop.aborted ? "stopping (Ctrl-C again: at once)" : "stopping");
  await removeClusterFile(place.dir);
  await stopAll({ ...demo, workers: running.workers, hurry: interrupts.hurry });
  narrator.say("demo", `all stopped; everything is kept in ${place.dir}`);
  failure ??= interrupts.failure();
  if (failure !== undefined) throw failure;
}

interface Running {
  workers: Workers | undefined;
  ready: boolean;
  /** All control stores were made by this start. */
  fresh: boolean;
}

/** Control stores for nodes that have none yet; one that was interrupted is made anew, or finished. Tells how many. */
async function initialise(demo: Demo, stop: AbortSignal): Promise<number> {
  const { nodes, binaries, owner, narrator, clock } = demo;
  const started = nodes.map(async ({ config }) => {
    if (stop.aborted || (await exists(config.control.dir))) return 0;
    narrator.say(config.node.name, "creating its control store");
    await createControlStore(config, binaries, owner, { clock, signal: stop });
    narrator.say(config.node.name, "control store created");
    return 1;
  });
  const results = await Promise.allSettled(started);
  const failed = results.find((result) => result.status === "rejected");
  // Ctrl-C on a terminal reaches the programs of PostgreSQL too: that they then fail is no news.
  if (failed !== undefined && !stop.aborted) throw failed.reason;
  const made = results.filter((result) => result.status === "fulfilled" && result.value === 1);
  return made.length;
}

async function serve(demo: Demo, running: Running, interrupts: Interrupts): Promise<void> {
  const { stop } = interrupts;
  if (stop.aborted) return;
  const { nodes, clock, narrator } = demo;
  const workers = startWorkers({
    ...demo,
    onGivenUp: ({ config: { node } }, why) => {
      narrator.say(node.name, `given up: ${why}`);
      // A cluster that is up goes on without it; one that is not will never be ready.
      if (!running.ready) interrupts.fail(new CommandFailed(`${node.name}: ${why}`));
    },
  });
  running.workers = workers;
  const watch = startWatch({ nodes, clock, narrator, signal: stop, fresh: running.fresh });
  const primary = await Promise.race([watch.ready, aborted(stop)]);
  if (primary !== undefined) {
    running.ready = true;
    await keepFile(demo, workers, stop, () => announce(demo, primary));
  }
  await watch.ended;
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}

/** cluster.json is there before the lines that speak of it are, and is kept current until the end. */
async function keepFile(demo: Demo, workers: Workers, stop: AbortSignal, announce: () => void) {
  const file = clusterFile({ ...demo, dir: demo.place.dir, workers });
  await file.refresh();
  announce();
  while (!stop.aborted) {
    await demo.clock.sleep(REFRESH_MS, stop);
    if (!stop.aborted) await file.refresh();
  }
}

function announce({ nodes, place, narrator }: Demo, primary: string): void {
  narrator.say("demo", `ready: ${primary} is primary, ${count(nodes.length, "node")}`);
  const node = nodes.find(({ config }) => config.node.name === primary) ?? nodes[0];
  if (node === undefined) return;
  const { control, data } = node.config;
  print(`
Write, wherever the primary is:
  psql '${clusterUri(nodes)}'
Watch and steer it, on any node:
  psql '${uri(node.config, `${control.host}:${control.port}`)}' -xc 'select * from pg_replica.status()'
Kill the primary and write again:
  kill -9 $(head -1 ${data?.dir}/postmaster.pid)
Programs find all of this in ${place.dir}/cluster.json. Ctrl-C stops everything.
`);
}
