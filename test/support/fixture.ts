/** One cluster for the tests of a file: stopped at the end with proof, its logs kept when a test failed. */
import { afterAll, afterEach, beforeAll, expect, vi } from "vitest";
import { type Cluster, logPaths, type StartOptions, startCluster } from "./cluster.ts";
import { untilHealthy } from "./health.ts";
import { isOverloaded, loadPerCore } from "./lag.ts";

export { isOverloaded } from "./lag.ts";

/** What no load excuses, unless the caller says otherwise. */
const NEVER_MS = 10_000;

/** Start a cluster before the tests of this file; the function gives it to them. */
export function useCluster(options: StartOptions = {}): () => Cluster {
  let cluster: Cluster | undefined;
  let failed = false;
  // A test waits for whole nodes to come back, several times; each wait has its own, tighter limit.
  vi.setConfig({ testTimeout: 150_000 });

  beforeAll(async () => {
    failed = true; // until it is known to be healthy
    cluster = await startCluster(options);
    await untilHealthy(cluster);
    failed = false;
  }, 240_000);

  afterEach(({ task }) => {
    if (task.result?.state === "fail") failed = true;
  });

  afterAll(async () => {
    if (cluster === undefined) return;
    try {
      await cluster.stop();
    } catch (error) {
      failed = true;
      throw error;
    } finally {
      if (failed) console.error(`logs are kept:\n  ${logPaths(cluster).join("\n  ")}`);
      await cluster.discard(failed ? "keep" : "remove");
    }
  }, 240_000);

  return () => {
    if (cluster === undefined) throw new Error("the cluster did not start");
    return cluster;
  };
}

/** `ms` is below `limitMs`; on an overloaded machine it says so, and only the outer bound holds. */
export function expectWithin(
  what: string,
  ms: number,
  limitMs: number,
  lagMs: number,
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
