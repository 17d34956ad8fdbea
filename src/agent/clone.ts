/** A new copy of the primary replaces this node's data, once it is whole. */

import { nodePassword } from "../config/secrets.ts";
import { dialTls } from "../config/tls.ts";
import { formatLsn, nodeRole } from "../core/ids.ts";
import { exists } from "../postgres/files.ts";
import { putStandbySignal } from "../postgres/settings.ts";
import { type Agent, type Order, recheck } from "./context.ts";
import { noteProgress } from "./progress.ts";
import { fenceServer } from "./servers.ts";
import { makeRoom, replaceData, sweepAside } from "./swap.ts";

/**
 * Copies from the epoch's own primary only. Interrupted before the copy is whole, this node's data are what they were:
 * a commit they confirmed is still there to be reported (D1, D4). Interrupted afterwards, the copy takes their place.
 */
export async function clone(agent: Agent, order: Order): Promise<void> {
  const { paths, state, store, log, view } = agent;
  if (view.primary_id === null) throw new Error("no primary to copy from");
  const why = state.rejoin?.why ?? order.why;
  log.info({ event: "agent.cloning", epoch: order.epoch, primary: view.primary_id }, why);
  try {
    if (state.server !== undefined || (await exists(paths.dataDir)))
      await fenceServer(agent, "clone");
    state.activity = "cloning";
    await makeRoom(agent);
    const backup = await copy(agent, order);
    await putStandbySignal(paths.newDir, agent.owner);
    recheck(agent, order);
    await replaceData(agent, order);
    state.rejoin = undefined;
    const reason = `copied from node ${view.primary_id}: ${why}`;
    log.info({ event: "agent.cloned", epoch: order.epoch }, reason);
    const detail = { epoch: order.epoch.toString(), start_lsn: formatLsn(backup.startLsn) };
    await store.noteAct({ event: "cloned", reason, detail });
    await sweepAside(agent, order.signal);
  } finally {
    state.activity = undefined;
    await store.clearProgress();
  }
}

async function copy(agent: Agent, order: Order) {
  const { paths, owner, config, view } = agent;
  const primary = view.members.find(({ node_id }) => node_id === view.primary_id);
  if (primary === undefined || primary.data_host === null || primary.data_port === null) {
    throw new Error(`node ${view.primary_id} has no data server to copy from`);
  }
  return agent.work.copy({
    host: primary.data_host,
    port: primary.data_port,
    user: nodeRole(config.node.id),
    password: nodePassword(config, config.node.id),
    tlsFiles: dialTls(config),
    dir: paths.newDir,
    ...(owner === undefined ? {} : { owner }),
    label: `pg_replica node ${config.node.id} epoch ${order.epoch}`,
    signal: order.signal,
    fast: true,
    ...(view.system_identifier === null ? {} : { expectSystemIdentifier: view.system_identifier }),
    onProgress: noteProgress(agent, "clone"),
  });
}
