/** One cluster for the tests of a file: stopped at the end with proof, its logs kept when a test failed. */
import { afterAll, beforeAll, expect, vi } from "vitest";
import { type Cluster, logPaths, type StartOptions, startCluster } from "./cluster.ts";
import { untilHealthy } from "./health.ts";
import { useKeptLogs } from "./kept-logs.ts";
import { isOverloaded, loadPerCore } from "./lag.ts";

export { isOverloaded } from "./lag.ts";

/** What no load excuses, unless the caller says otherwise. */
const NEVER_MS = 10_000;

/** Start a cluster before the tests of this file; the function gives it to them. */
export function useCluster(options: StartOptions = {}): () => Cluster {
  let cluster: Cluster | undefined;
  const kept = useKeptLogs(() => (cluster === undefined ? [] : logPaths(cluster)));
  // A test waits for whole nodes to come back, several times; each wait has its own, tighter limit.
  vi.setConfig({ testTimeout: 150_000 });

  beforeAll(async () => {
    cluster = await startCluster(options);
    await untilHealthy(cluster);
    kept.healthy();
  }, 240_000);

  afterAll(async () => {
    if (cluster === undefined) return;
    try {
      await cluster.stop();
    } catch (error) {
      kept.fail();
      throw error;
    } finally {
      await cluster.discard(await kept.end());
    }
  }, 240_000);

  return () => {
    if (cluster === undefined) throw new Error("the cluster did not start");
    return cluster;
  };
}

/**
 * `ms` is below `limitMs`; on an overloaded machine it says so, and only the outer bound holds. `lagMs` is what this
 * process lagged meanwhile, where that was watched.
 */
export function expectWithin(
  what: string,
  ms: number,
  limitMs: number,
  lagMs = 0,
  neverMs = NEVER_MS,
): void {
  console.log(`${what}: ${ms.toFixed(0)} ms (limit ${limitMs}, lag p99 ${lagMs.toFixed(0)} ms)`);
  expect(ms, what).toBeLessThan(neverMs);
  if (!isOverloaded(lagMs)) expect(ms, what).toBeLessThan(limitMs);
  else {
    const load = loadPerCore().toFixed(1);
    console.log(`${what}: inconclusive, the machine is overloaded (${load} per core)`);
  }
}
