/** What is known of the voters' liveness counters: how one that nobody marked silent is asked all the same. */
import type { NodeId } from "./ids.ts";

/** A store's liveness counter: comparable only within one boot of that store. */
export interface Counter {
  readonly bootId: string;
  readonly heard: bigint;
}

/** What each peer's counter was, and since when we know it (`raft.may_vote`). */
export type Counters = ReadonlyMap<NodeId, Counter & { readonly since: number }>;

export function noteCounter(
  counters: Counters,
  { from, counter }: { readonly from: NodeId; readonly counter?: Counter },
  now: number,
): Counters {
  if (counter === undefined) return counters;
  const known = counters.get(from);
  const { bootId, heard } = counter;
  if (known?.bootId === bootId && known.heard === heard) return counters;
  return new Map(counters).set(from, { bootId, heard, since: now });
}

/** The counter to show a voter: one of its own, unchanged for an election timeout as far as we know. */
export function provenCounter(
  { counters, timing }: { readonly counters: Counters; readonly timing: { electionMs: number } },
  voter: NodeId,
  now: number,
): Counter | undefined {
  const known = counters.get(voter);
  if (known === undefined || now - known.since < timing.electionMs) return undefined;
  return { bootId: known.bootId, heard: known.heard };
}
