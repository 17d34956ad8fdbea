/** What a fault is: injected, read back, healed; and what is expected of the cluster meanwhile. */
import { monotonicClock } from "../../../src/clock/clock.ts";
import type { Bed } from "../bed/bed.ts";
import type { Capability } from "../bed/capabilities.ts";
import type { Network } from "../bed/links.ts";
import type { Random } from "../random.ts";

/** The cluster as it stands when a fault is chosen. */
export interface Scene {
  readonly bed: Bed;
  readonly primary: number;
  readonly leader: number;
  /** In order of id. */
  readonly standbys: readonly number[];
  readonly random: Random;
}

export interface Injected {
  /** Monotonic milliseconds at its first signal. */
  readonly at: number;
  /** What was done, to whom. */
  readonly what: string;
  /** How it was seen to take effect; rejects when it was not. */
  proof(): Promise<string>;
  /** Undo it. */
  heal(): Promise<void>;
}

/**
 * Bounds of the write gap of one sample, milliseconds: the death can be observed; it cannot; nothing that writes need
 * is touched. `blocked`: writes may wait as long as the fault lasts.
 */
export const BOUNDS = {
  observed: 2000,
  silent: 6000,
  untouched: 2000,
  blocked: undefined,
} as const;
export type Bound = keyof typeof BOUNDS;

export interface Fault {
  /** As in the catalogue: F01. Several faults may be variants of one id. */
  readonly id: string;
  readonly name: string;
  /** In the live tier of every run; a skip on a host of class A or B is a failure there. */
  readonly bold?: boolean;
  readonly needs: readonly Capability[];
  /** The only kind of network it can be made in. */
  readonly network?: Network["kind"];
  /** Needs disks of the nodes' own. */
  readonly volumes?: boolean;
  readonly bound: Bound;
  /** Whether the primary is replaced. */
  readonly failover: "must" | "may" | "never";
  /** How long it lasts when nobody says otherwise, milliseconds. */
  readonly lasts: readonly [number, number];
  /** A control store forgets what it promised: two at once may be a majority, which only an operator brings back. */
  readonly forgets?: boolean;
  /** More than a minority is touched: nobody can be expected to write meanwhile. */
  readonly stopsAll?: boolean;
  inject(scene: Scene): Promise<Injected>;
}

/** Why a fault cannot be injected here, or undefined when it can. */
export function unable(
  fault: Fault,
  bed: Pick<Bed, "host" | "network" | "volume">,
): string | undefined {
  for (const need of fault.needs) {
    const missing = bed.host.missing(need);
    if (missing !== undefined) return missing;
  }
  if (fault.network !== undefined && fault.network !== bed.network.kind) {
    return `needs a network of ${fault.network}`;
  }
  if (fault.volumes === true && bed.volume(1, "data") === undefined)
    return "nodes have no disks of their own";
  return undefined;
}

export const now = () => monotonicClock.now();
export const nothing = () => Promise.resolve();

/** Names in a sentence: node 2; nodes 2 and 3. */
export function nodes(ids: readonly number[]): string {
  return ids.length === 1 ? `node ${ids[0]}` : `nodes ${ids.join(" and ")}`;
}
