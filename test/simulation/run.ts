/**
 * One run: a cold start, writers on every node, faults, healing, and then everything must be well again within
 * bounded time.
 */
import { BootstrapFailed, imageOf } from "./bootstrap.ts";
import type { Violation } from "./checkers/checks.ts";
import { Cluster, type Image } from "./cluster.ts";
import { whyUnwell } from "./convergence.ts";
import { Faults } from "./faults.ts";
import { Readers } from "./readers.ts";
import { type Action, isChangeKind, type Scenario } from "./scenario.ts";
import { Workload } from "./workload.ts";
import { enter } from "./world.ts";

/** Virtual time from the healing to a cluster that is whole. */
export const CONVERGE_MS = 60_000;
const REST_MS = 8000;
/** Ten times what a run takes: more of them is a livelock. */
const STEP_LIMIT = 250_000;
const SERVES_MS = 20_000;
const LATELY_MS = 5000;

export interface Outcome {
  readonly scenario: Scenario;
  readonly violations: readonly Violation[];
  readonly hash: string;
  readonly steps: number;
  readonly virtualMs: number;
  readonly acknowledged: number;
  readonly committed: number;
  readonly promotions: number;
  readonly leaders: number;
  /** Linearizable reads of the control plane that were answered. */
  readonly reads: number;
  /** Snapshots that were installed. */
  readonly snapshots: number;
  readonly injected: number;
  readonly primaryFaults: number;
  /** Changes of the members that were committed while a fault was in effect. */
  readonly changes: readonly string[];
  readonly events: readonly string[];
}

export interface RunOptions {
  readonly onTrace?: (line: string) => void;
}

export async function run(scenario: Scenario, options: RunOptions = {}): Promise<Outcome> {
  try {
    return await runFrom(await imageOf(scenario.shape), scenario, options);
  } catch (error) {
    if (error instanceof BootstrapFailed) return failed(scenario, error.violations, error.message);
    const { message, stack } = error as Error;
    return failed(scenario, [{ invariant: "broken", at: 0, message }], stack ?? "");
  }
}

/** A run that did not get to its end. */
function failed(scenario: Scenario, violations: readonly Violation[], events: string): Outcome {
  const none = { steps: 0, virtualMs: 0, acknowledged: 0, committed: 0, promotions: 0, leaders: 0 };
  const injected = { injected: 0, primaryFaults: 0, changes: [] };
  const nothing = { ...none, ...injected, reads: 0, snapshots: 0, hash: "" };
  return { scenario, violations, ...nothing, events: events.split("\n") };
}

async function runFrom(image: Image, scenario: Scenario, options: RunOptions): Promise<Outcome> {
  const cluster = new Cluster(scenario.seed, scenario.shape, image, scenario);
  const { engine, checks, hosts, network } = cluster;
  if (options.onTrace !== undefined) engine.onTrace = options.onTrace;
  const rejected = (error: unknown) =>
    checks.violated("unhandled", String((error as Error)?.stack ?? error));
  process.on("unhandledRejection", rejected);
  try {
    checks.plan = scenario.plan;
    checks.control.remember();
    network.base = { ...network.base, duplicates: scenario.duplicates };
    for (const host of hosts.values()) {
      host.clockRate = scenario.clockRates[host.id - 1] ?? 1;
      if (!host.deployed) continue;
      host.startStore();
      engine.after(engine.random("timers").between(0, 400), "node.on", () => host.startWorker());
    }
    const workload = new Workload(cluster, { everyMs: scenario.writeEveryMs, readEvery: 8 });
    const readers = new Readers(cluster);
    const faults = new Faults(cluster, scenario);
    workload.start();
    readers.start();
    faults.start();
    const epochs = () => checks.data.newestState().epochs.length;
    await engine.runUntil(3400);
    const settled = epochs();
    await engine.runUntil(scenario.healAt);
    faults.heal();
    const lost = faults.loseOne();
    if (scenario.actions.length === 0 && lost === undefined && epochs() > settled) {
      checks.violated("D16", `${epochs() - settled} failovers, and nothing had failed`);
    }
    await converge(cluster, workload, { faults, lost });
    return {
      scenario,
      violations: checks.violations,
      hash: engine.traceHash(),
      steps: engine.steps,
      virtualMs: engine.now,
      acknowledged: checks.data.acks.length,
      committed: checks.control.commitIndex(),
      promotions: checks.data.promotionCount,
      leaders: checks.control.leaderChanges,
      reads: readers.answered,
      snapshots: checks.control.snapshots,
      injected: faults.injected,
      primaryFaults: faults.primaryFaults,
      changes: underFaults(scenario, checks.changes),
      events: engine.ring.slice(-200),
    };
  } finally {
    process.off("unhandledRejection", rejected);
    engine.stopped = true;
    enter(undefined);
  }
}

/** What a fault leaves behind goes on for so long: an election, a failover. */
const AFTERMATH_MS = 1500;

/** Of what was committed, and when: what came while a fault had its effect. */
function underFaults(
  { actions }: Scenario,
  changes: readonly { readonly kind: string; readonly at: number }[],
): string[] {
  const hits = ({ kind, at: from, ms }: Action, at: number) =>
    !isChangeKind(kind) && at >= from && at <= from + ms + AFTERMATH_MS;
  return changes
    .filter(({ at }) => actions.some((action) => hits(action, at)))
    .map(({ kind }) => kind);
}

async function converge(
  cluster: Cluster,
  workload: Workload,
  { faults, lost }: { readonly faults: Faults; readonly lost: number | undefined },
): Promise<void> {
  const { engine, checks } = cluster;
  const healed = engine.now;
  const acknowledgedSince = () => (checks.data.acks.at(-1)?.at ?? 0) > healed + 50;
  const well = () => acknowledgedSince() && whyUnwell(cluster, lost) === undefined;
  await engine.runUntil(healed + SERVES_MS, () => well() || engine.steps > STEP_LIMIT);
  const lately = engine.now - LATELY_MS;
  if (!acknowledgedSince() || (checks.data.acks.at(-1)?.at ?? 0) < lately) {
    // A longer copy may still be under way, or an operator forbade what would help; this tells them apart.
    engine.trace("--", `nothing acknowledged of late, ${SERVES_MS} ms after the healing`);
    faults.relent();
  }
  await engine.runUntil(healed + CONVERGE_MS, () => well() || engine.steps > STEP_LIMIT);
  if (!well()) {
    const why = acknowledgedSince() ? whyUnwell(cluster, lost) : "no write is acknowledged";
    const ms = Math.round(engine.now - healed);
    checks.violated("D11", `not whole ${ms} ms after the healing: ${why}`);
  }
  workload.stopped = true;
  const rest = engine.now;
  await engine.runUntil(
    rest + REST_MS,
    () => engine.now > rest + 300 && atRest(cluster, lost) === undefined,
  );
  const restless = atRest(cluster, lost);
  if (restless !== undefined) checks.violated("D10", `not equal at rest: ${restless}`);
  const primary = cluster.primary();
  if (primary !== undefined) checks.data.final(primary);
  else if (well()) checks.violated("D11", "the primary was lost again at rest");
}

function atRest(cluster: Cluster, lost: number | undefined): string | undefined {
  const why = whyUnwell(cluster, lost);
  if (why !== undefined) return why;
  const primary = cluster.primary();
  const ids = (primary?.data.wal ?? []).map(({ id }) => id);
  for (const { node_id } of cluster.checks.data.newestState().members) {
    const host = cluster.host(node_id);
    if (host.id === lost) continue;
    const server = host.server();
    const own = server?.data.wal ?? [];
    if (server?.replayed !== ids.length || own.length !== ids.length) {
      return `node ${host.id} has replayed ${server?.replayed} records of ${ids.length}`;
    }
    const differs = own.findIndex(({ id }, at) => id !== ids[at]);
    if (differs >= 0) return `node ${host.id} differs from record ${differs} on`;
  }
  return undefined;
}
