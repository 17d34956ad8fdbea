/**
 * Hold-down (H47): which nodes were lost by silence lately, and for how long that is held against them.
 *
 * A failover inferred from silence counts against the node it left. For 30 s after it, doubled for each one that
 * follows before twice that time is over, up to 10 minutes, silence of that node starts no other failover until writes
 * have stopped for 10 s, and it is appointed only where nobody else has the same WAL. A death that was seen is never
 * held back.
 */
import type { NodeId } from "../core/ids.ts";
import { LIMITS } from "./limits.ts";

/** Silence of one node: how often it cost it the role, and how long ago the last time was. */
export interface Flap {
  readonly count: number;
  readonly sinceMs: number;
}

/** Causes that nobody saw happen: the node may be well, and only out of reach. */
const INFERRED: ReadonlySet<string> = new Set(["node_silent", "hung"]);

export function isInferred(cause: string): boolean {
  return INFERRED.has(cause);
}

/** The record after one more such failover; `before` is what stood there until now. */
export function oneMore(before: Flap | undefined): Flap {
  const goesOn = before !== undefined && before.sinceMs < 2 * holdMs(before);
  return { count: goesOn ? before.count + 1 : 1, sinceMs: 0 };
}

/** For how long after its last failover a node is held down. */
export function holdMs({ count }: Pick<Flap, "count">): number {
  return Math.min(LIMITS.longestHoldMs, LIMITS.nodeHoldMs * 2 ** (count - 1));
}

/** `gapMs`: how long writes have been impossible. What lasts is no flap, and waiting on would protect nobody. */
export function isHeld(flap: Flap | undefined, gapMs = 0): boolean {
  return flap !== undefined && flap.sinceMs < holdMs(flap) && gapMs < LIMITS.lastingMs;
}

/** Every node that is held down now. */
export function heldNodes(flaps: ReadonlyMap<NodeId, Flap>): ReadonlySet<NodeId> {
  return new Set([...flaps].filter(([, flap]) => isHeld(flap)).map(([id]) => id));
}
