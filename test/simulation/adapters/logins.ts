/** Whoever connects is let in here; who may speak the acceptor decides, by what the log and the members say. */
import type { Config } from "../../../src/config/schema.ts";
import type { Hints } from "../../../src/db/hints.ts";
import { world } from "../world.ts";

const LOOK_MS = 1000;

export async function keepLogins(options: {
  readonly config: Pick<Config, "node">;
  readonly hints: Hints;
  readonly introduced: () => Iterable<number>;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { config, hints, introduced, signal } = options;
  const { hosts, mayGrow } = world();
  const host = hosts.get(config.node.id);
  if (!mayGrow || host === undefined) {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return;
  }
  while (!signal.aborted) {
    const { members, left } = host.acceptor.cluster;
    const present = members.map(({ node_id }) => node_id);
    const wanted = new Set([...host.logins, ...present, ...introduced()]);
    for (const id of left.keys()) if (!present.includes(id)) wanted.delete(id);
    host.logins = wanted;
    await hints.within(LOOK_MS, signal);
  }
}
