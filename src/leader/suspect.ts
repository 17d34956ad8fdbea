/** A follower that misses heartbeats looks at the primary's data port before an election makes it leader. */
import { type Clock, untilBeat } from "../clock/clock.ts";
import { primaryOf } from "../coordinator/facts.ts";
import type { NodeId } from "../core/ids.ts";
import type { ClusterView } from "../db/cluster.ts";
import type { PrimaryWatch, Target } from "./watch.ts";

export interface SuspectOptions {
  readonly watch: PrimaryWatch;
  readonly clock: Clock;
  /** Of the own store. */
  readonly readView: () => Promise<ClusterView>;
  /** Raft's: how long nothing was heard from the leader (0 on the leader itself). */
  readonly quietMs: () => number;
  readonly leader: () => NodeId | undefined;
  readonly self: NodeId;
  readonly heartbeatMs: () => number;
  readonly signal: AbortSignal;
}

/** This many heartbeats missed are worth a look. */
const MISSED = 3;

/** Runs for the worker's life; costs nothing but a timer while heartbeats arrive. */
export async function suspectQuietLeader(o: SuspectOptions): Promise<void> {
  let target: Target | undefined;
  while (!o.signal.aborted) {
    const leader = o.leader();
    const quietMs = o.quietMs();
    const heartbeatMs = o.heartbeatMs();
    const quiet = leader !== undefined && leader !== o.self && quietMs > MISSED * heartbeatMs;
    if (quiet) {
      o.watch.leaderIsQuiet(leader, quietMs);
      // The own store may be the one in trouble: then there is nothing to prepare.
      target ??= await o.readView().then(primaryTarget, () => undefined);
      if (target !== undefined && target.id !== o.self) o.watch.suspect(target);
    } else {
      target = undefined;
      if (leader !== o.self) o.watch.leaderIsHeard();
    }
    const rest = untilBeat(o.clock.now(), 2 * heartbeatMs);
    await o.clock.sleep(quiet ? heartbeatMs / 2 : rest, o.signal);
  }
}

/** A peer's store is gone: if the primary is there, its data port is looked at before anybody is elected to ask. */
export async function suspectLost(
  { watch, readView, self }: Pick<SuspectOptions, "watch" | "readView" | "self">,
  peer: NodeId,
): Promise<void> {
  // The own store may be the one in trouble: then there is nothing to prepare.
  const target = await readView().then(primaryTarget, () => undefined);
  if (target?.id === peer && peer !== self) watch.suspect(target);
}

/** Where the primary's data server listens; undefined without a primary. */
export function primaryTarget(view: ClusterView): Target | undefined {
  const id = primaryOf(view);
  const member = view.members.find((one) => one.node_id === id);
  if (member === undefined || member.data_host === null || member.data_port === null) {
    return undefined;
  }
  return { id: member.node_id, host: member.data_host, port: member.data_port };
}
