/** A cluster from nothing, by the real code: founded, cloned, its commit rule raised, formed. Its image is kept. */
import { Cluster, type Image, type Shape } from "./cluster.ts";

const LIMIT_MS = 60_000;
const images = new Map<string, Promise<Image>>();

export function imageOf(shape: Shape): Promise<Image> {
  const key = `${shape.nodes} ${shape.mode}`;
  let found = images.get(key);
  if (found === undefined) {
    found = bootstrap(shape);
    images.set(key, found);
  }
  return found;
}

async function bootstrap(shape: Shape): Promise<Image> {
  const cluster = new Cluster(1, shape);
  for (const host of cluster.hosts.values()) host.startWorker();
  const formed = () => {
    const state = cluster.checks.data.newestState();
    const everywhere = [...cluster.hosts.values()].every(
      ({ acceptor: { cluster: own } }) => own.formed && own.proposals.size === state.proposals.size,
    );
    return everywhere && cluster.primary() !== undefined;
  };
  await cluster.engine.runUntil(LIMIT_MS, formed);
  await cluster.engine.runUntil(cluster.engine.now + 3000);
  if (!formed() || cluster.checks.violations.length > 0) {
    const told = cluster.checks.violations.map(
      ({ invariant, message }) => `${invariant}: ${message}`,
    );
    const last = [...cluster.engine.ring.slice(-60), ...told].join("\n");
    throw new Error(`no cluster of ${shape.nodes} formed within ${LIMIT_MS} virtual ms:\n${last}`);
  }
  for (const host of cluster.hosts.values()) {
    host.supervised = false;
    for (const proc of host.procs()) cluster.engine.kill(proc);
  }
  return cluster.image(shape);
}
