/** A new copy of the primary replaces this node's data: marked before the first byte, swapped in when whole. */

import { nodePassword } from "../config/secrets.ts";
import { formatLsn, nodeRole } from "../core/ids.ts";
import { exists, removeTree } from "../postgres/files.ts";
import { putStandbySignal } from "../postgres/settings.ts";
import { takeBaseBackupApart } from "../replication/apart.ts";
import { type Agent, type Order, recheck, type Wanted } from "./context.ts";
import { putMarker, swapIn, writeIdentity } from "./disk.ts";
import { fenceServer, startGated } from "./servers.ts";
import { prepareFiles, writeWanted } from "./settings.ts";

/** Between two notes of progress. */
const PROGRESS_MS = 200;

/** Copies from the epoch's own primary only. Interrupted anywhere, the marker makes it begin again. */
export async function clone(agent: Agent, order: Order): Promise<void> {
  const { paths, state, store, log, view } = agent;
  if (view.primary_id === null) throw new Error("no primary to copy from");
  const wanted: Wanted = {
    upstream: { nodeId: view.primary_id, epoch: order.epoch },
    listen: true,
    gate: "open",
    standbyNames: view.standby_names,
  };
  state.activity = "cloning";
  log.info({ event: "agent.cloning", epoch: order.epoch, primary: view.primary_id }, "a new copy");
  try {
    if (state.server !== undefined || (await exists(paths.dataDir)))
      await fenceServer(agent, "clone");
    state.activity = "cloning";
    await putMarker(agent);
    await removeTree(paths.newDir);
    const backup = await copy(agent, order);
    recheck(agent, order);
    await putStandbySignal(paths.newDir, agent.owner);
    await swapIn(agent);
    // Before the marker goes: whoever starts this directory then meets our settings, not the primary's.
    await prepareFiles(agent);
    await writeWanted(agent, wanted);
    await writeIdentity(agent, backup.systemIdentifier);
    await store.follow(order.epoch);
    await removeTree(paths.marker);
    state.divergedAt = undefined;
    await removeTree(paths.oldDir);
    await note(agent, "cloned", `copied from node ${view.primary_id}`, {
      epoch: order.epoch.toString(),
      start_lsn: formatLsn(backup.startLsn),
    });
  } finally {
    state.activity = undefined;
    await store.clearProgress();
  }
  await startGated(agent, wanted, order.signal);
}

async function copy(agent: Agent, order: Order) {
  const { paths, owner, config, clock, store, view } = agent;
  const primary = view.members.find(({ node_id }) => node_id === view.primary_id);
  if (primary === undefined || primary.data_host === null || primary.data_port === null) {
    throw new Error(`node ${view.primary_id} has no data server to copy from`);
  }
  let noted = Number.NEGATIVE_INFINITY;
  return takeBaseBackupApart({
    host: primary.data_host,
    port: primary.data_port,
    user: nodeRole(config.node.id),
    password: nodePassword(config, config.node.id),
    dir: paths.newDir,
    ...(owner === undefined ? {} : { owner }),
    label: `pg_replica node ${config.node.id} epoch ${order.epoch}`,
    clock,
    signal: order.signal,
    fast: true,
    ...(view.system_identifier === null ? {} : { expectSystemIdentifier: view.system_identifier }),
    onProgress: (doneBytes, totalBytes) => {
      if (clock.now() - noted < PROGRESS_MS) return;
      noted = clock.now();
      const progress = { job: "clone", phase: "copying", doneBytes, totalBytes };
      // Progress is for people: a lost note is no failure of the copy.
      store.setProgress(progress).catch(() => undefined);
    },
  });
}

async function note(agent: Agent, event: string, reason: string, detail: unknown): Promise<void> {
  agent.log.info({ event: "agent.cloned", epoch: agent.view.epoch }, reason);
  await agent.store.noteAct({ event, reason, detail });
}
