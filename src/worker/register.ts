/** While leading: a member whose store has answered for the first time becomes known by its incarnation. */
import type { Clock } from "../clock/clock.ts";
import type { Queryable } from "../db/call.ts";
import { clusterView } from "../db/cluster.ts";
import type { Log } from "../log/logger.ts";
import type { Leadership } from "../raft/raft.ts";
import type { Raft } from "../raft/run.ts";

const LOOK_MS = 250;
const SETTLED_LOOK_MS = 5000;

export async function registerMembers(
  leadership: Leadership,
  {
    raft,
    store,
    clock,
    log,
  }: {
    readonly raft: Raft;
    readonly store: Queryable;
    readonly clock: Clock;
    readonly log: Log;
  },
): Promise<void> {
  const { signal } = leadership;
  while (!signal.aborted) {
    const unknown = await registerOnce(leadership, { raft, store }).catch((error: unknown) => {
      log.debug({ event: "coordinator.refused" }, `members not registered: ${error}`);
      return true;
    });
    await clock.sleep(unknown ? LOOK_MS : SETTLED_LOOK_MS, signal);
  }
}

/** True while a member is still unknown. */
async function registerOnce(
  leadership: Leadership,
  { raft, store }: { readonly raft: Raft; readonly store: Queryable },
): Promise<boolean> {
  const { members } = await clusterView(store);
  const unknown = members.filter((member) => member.incarnation === null);
  for (const { node_id } of unknown) {
    const incarnation = raft.incarnations().get(node_id);
    if (incarnation === undefined) continue;
    await leadership.propose("register", { node_id, incarnation });
  }
  return unknown.length > 0;
}
