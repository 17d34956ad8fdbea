/**
 * Whether an earlier primary might still be serving. Writes need no answer: pledged standbys confirm nothing for it
 * (H01). Reads do, and writes where no standby has to confirm: unless it is proved fenced, the next primary waits until
 * the old lease is over (H31).
 */
import type { NodeId } from "../core/ids.ts";
import type { Facts } from "./facts.ts";

/** Every primary since the last that was known to be alone is proved down, or a standby. */
export function oldIsFenced(facts: Facts): boolean {
  const [, ...before] = facts.view.epochs;
  for (const { node_id, old_fenced } of before) {
    if (node_id !== null && !isFenced(facts, node_id)) return false;
    if (old_fenced) return true;
  }
  // Further back than is known here only if the first epoch is not among them.
  return before.length === 0 || before.at(-1)?.epoch === 1n;
}

/** It serves nobody any more: proved by its own worker, by its report for the newest epoch, or by its clean stop. */
export function isFenced(facts: Facts, id: NodeId): boolean {
  const { reports, members, handedOver, view } = facts;
  // Who reports for this epoch is in recovery, and its old run is gone (H21).
  if (reports.get(id)?.lsn !== undefined) return true;
  const stopped = view.epochs[1]?.node_id === id && handedOver?.shutdownLsn !== undefined;
  if (stopped) return true;
  const member = members.get(id);
  return (
    member?.beatMs !== undefined && member.seen?.gone === true && member.seen.state === "fenced"
  );
}
