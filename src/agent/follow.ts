/** A standby is pointed at the primary of the newest epoch, if its history allows it. */
import { formatLsn, type Lsn } from "../core/ids.ts";
import { newestStamp, type Stamp } from "../db/data-server.ts";
import type { AgentView } from "../db/node.ts";
import { type Agent, type Order, recheck } from "./context.ts";
import { endOfWal } from "./report.ts";
import { startGated, stopServer } from "./servers.ts";
import { change } from "./settings.ts";

export async function follow(agent: Agent, order: Order): Promise<void> {
  const { view } = order;
  const { state, store, log } = agent;
  if (view.primary_id === null) throw new Error("no primary to follow");
  const upstream = { nodeId: view.primary_id, epoch: order.epoch };
  const { standby_names: standbyNames } = view;
  // Nothing may arrive between the check and the new upstream.
  const end = await endOfWal(agent, order);
  const { db } = await agent.hands.get();
  const doubt = divergence(view, end, await newestStamp(db, view.cluster_id));
  if (doubt !== undefined) {
    state.divergedAt = order.epoch;
    log.warn({ event: "agent.decided", epoch: order.epoch }, doubt);
    return;
  }
  recheck(agent, order);
  await store.follow(order.epoch);
  recheck(agent, order);
  if (state.listening) {
    await change(agent, { upstream, gate: "open", standbyNames }, order.signal);
  } else {
    // Its history is verified now: it may show itself (H39).
    await stopServer(agent);
    await startGated(agent, { upstream, listen: true, gate: "open" }, order.signal);
  }
  log.info(
    {
      event: "agent.following",
      epoch: order.epoch,
      primary: view.primary_id,
      lsn: formatLsn(end),
    },
    "pointed at the primary",
  );
}

/**
 * Why this WAL cannot be continued by the newest epoch, or undefined when it can (H02, H41). The chain of appointments
 * decides: WAL past the point where an epoch began belongs to it only if this node followed or led it by then, or
 * holds its stamp. Timeline numbers prove nothing. Pure.
 */
export function divergence(
  view: Pick<AgentView, "history" | "followed" | "node_id" | "epoch">,
  lsn: Lsn,
  stamp: Stamp | undefined,
): string | undefined {
  if (stamp !== undefined && stamp.epoch > view.epoch) {
    return `it holds the stamp of epoch ${stamp.epoch}, which this cluster has not begun`;
  }
  const known =
    stamp === undefined ? undefined : view.history.find(({ epoch }) => epoch === stamp.epoch);
  if (stamp !== undefined && known !== undefined) {
    const same = known.node_id === stamp.node_id && known.timeline === stamp.timeline;
    if (!same) return `its stamp of epoch ${stamp.epoch} is not the one that was appointed`;
  }
  const reached = stamp !== undefined && stamp.epoch > view.followed ? stamp.epoch : view.followed;
  const left = view.history.find(
    ({ epoch, node_id, switch_lsn }) =>
      epoch > reached && node_id !== view.node_id && switch_lsn < lsn,
  );
  if (left === undefined) return undefined;
  return (
    `it holds WAL up to ${formatLsn(lsn)}, and epoch ${left.epoch} ` +
    `began at ${formatLsn(left.switch_lsn)} without it`
  );
}
