/** The one simulated world of this process, as the adapters under the product's code find it. */
import type { Checks } from "./checkers/checks.ts";
import type { Engine, Proc } from "./engine.ts";
import type { Files } from "./files.ts";
import type { DataServer } from "./model/data-server.ts";
import type { Host } from "./model/host.ts";
import type { Network } from "./model/network.ts";

export interface World {
  readonly engine: Engine;
  readonly files: Files;
  readonly network: Network;
  readonly checks: Checks;
  readonly hosts: ReadonlyMap<number, Host>;
  /** Whether there are nodes that could become members. */
  readonly mayGrow: boolean;
  /** Every process that was ever started and is not reaped, by pid. */
  readonly procs: Map<number, Proc>;
  /** Running data servers by their folder's path. */
  readonly servers: Map<string, DataServer>;
  /** Postmasters that were spawned there and have done nothing yet; whoever looks for processes finds them too. */
  readonly starting: Map<string, DataServer>;
  /** A durable step of a process (file synced, transaction committed): faults count them. */
  durableStep(proc: Proc | undefined): void;
}

/** Whether a crash of this node, now, takes what its disk had confirmed: the negative controls' doing. */
export function forgets({ checks: { plan }, network }: World, node: number): boolean {
  return plan.lyingDisk || (plan.fsyncOff && network.dark.has(node));
}

let current: World | undefined;

export function enter(world: World | undefined): void {
  current = world;
}

export function world(): World {
  if (current === undefined) throw new Error("nothing is simulated now");
  return current;
}

export function worldOrNone(): World | undefined {
  return current;
}
