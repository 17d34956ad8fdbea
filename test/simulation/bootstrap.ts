/** A cluster from nothing, by the real code: founded, cloned, its commit rule raised, formed. Its image is kept. */
import type { Violation } from "./checkers/checks.ts";
import { Cluster, type Image, type Shape } from "./cluster.ts";

/** No cluster formed, or not as it must: that is a run that failed. */
export class BootstrapFailed extends Error {
  override readonly name = "BootstrapFailed";
  readonly violations: readonly Violation[];
  constructor(message: string, violations: readonly Violation[]) {
    super(message);
    this.violations = violations;
  }
}

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
  if (!formed()) cluster.checks.violated("D11", `no cluster formed within ${LIMIT_MS} ms`);
  const { violations } = cluster.checks;
  if (violations.length > 0) {
    throw new BootstrapFailed(cluster.engine.ring.slice(-100).join("\n"), violations);
  }
  for (const host of cluster.hosts.values()) {
    host.supervised = false;
    for (const proc of host.procs()) cluster.engine.kill(proc);
  }
  return cluster.image(shape);
}
