/** Files of a simulated control store hold no settings of users; what a reload would change, the faults do. */
import type { Config } from "../../../src/config/schema.ts";
import type { FollowOptions, Settled } from "../../../src/worker/pgraft-settings.ts";
import { world } from "../world.ts";
import { attend } from "./attend.ts";

export function settle({ timing, raft, logLevel }: Config): Promise<Settled> {
  return Promise.resolve({ timing, keep: raft, logLevel });
}

export async function followSettings({ config, raft, signal }: FollowOptions): Promise<void> {
  const host = world().hosts.get(config.node.id);
  if (host !== undefined) host.tune = (timing) => raft.tune({ timing, keep: config.raft });
  await attend({ signal });
}
