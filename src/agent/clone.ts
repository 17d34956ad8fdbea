/** A new copy of the epoch's data replaces this node's, once it is whole. */

import { nodePassword } from "../config/secrets.ts";
import { dialTls } from "../config/tls.ts";
import { fallsShort } from "../core/copy-source.ts";
import { formatLsn, type NodeId, nodeRole } from "../core/ids.ts";
import { exists, removeTree } from "../postgres/files.ts";
import { putStandbySignal } from "../postgres/settings.ts";
import type { BaseBackup } from "../replication/base-backup.ts";
import { type Agent, type Order, recheck } from "./context.ts";
import { findStandby, type Source } from "./copy-source.ts";
import { noteProgress } from "./progress.ts";
import { fenceServer } from "./servers.ts";
import { makeRoom, replaceData, sweepAside } from "./swap.ts";

/** A standby's restartpoint writes what its memory holds; longer, and the primary's copy is the sooner one. */
const RESTARTPOINT_LIMIT_MS = 5 * 60_000;

/**
 * Copies from the epoch's own primary, or from a standby of it that an operator has named and that is proved to hold
 * as much. Interrupted before the copy is whole, this node's data are what they were: a commit they confirmed is still
 * there to be reported (D1, D4). Interrupted afterwards, the copy takes their place.
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
    const { backup, source, passedOver } = await copyBest(agent, order, view.primary_id);
    await putStandbySignal(paths.newDir, agent.owner);
    recheck(agent, order);
    await replaceData(agent, order);
    state.rejoin = undefined;
    const reason = `copied from node ${source}: ${why}`;
    log.info({ event: "agent.cloned", epoch: order.epoch, source }, reason);
    const start_lsn = formatLsn(backup.startLsn);
    const detail = { epoch: order.epoch.toString(), source, start_lsn, passed_over: passedOver };
    await store.noteAct({ event: "cloned", reason, detail });
    await sweepAside(agent, order.signal);
  } finally {
    state.activity = undefined;
    await store.clearProgress();
  }
}

interface Copied {
  readonly backup: BaseBackup;
  readonly source: NodeId;
  /** Why not from a standby that is named for it. */
  readonly passedOver?: string | undefined;
}

/** This node's own server is fenced by now: it confirms nothing that a copy begun from here on might lack. */
async function copyBest(agent: Agent, order: Order, primary: NodeId): Promise<Copied> {
  const { paths, state, log } = agent;
  const found = await findStandby(agent, order);
  let passedOver = typeof found === "string" ? found : undefined;
  if (typeof found === "object") {
    state.standbyTried = order.epoch;
    const tried = await tryCopy(agent, order, found);
    if (typeof tried !== "string") return { backup: tried, source: found.id };
    passedOver = `node ${found.id}: ${tried}`;
    await removeTree(paths.newDir);
  }
  if (passedOver !== undefined) {
    log.warn({ event: "agent.decided", epoch: order.epoch, source: primary }, passedOver);
  }
  return { backup: await copy(agent, order, { id: primary }), source: primary, passedOver };
}

/** A standby's copy, or what is wrong with it. It is begun once: the primary's is always there to be had instead. */
async function tryCopy(agent: Agent, order: Order, { id, needed }: Source) {
  try {
    const limits = { attempts: 1, startLimitMs: RESTARTPOINT_LIMIT_MS };
    const backup = await copy(agent, order, { id, ...limits });
    return fallsShort(backup, needed) ?? backup;
  } catch (error) {
    recheck(agent, order);
    return error instanceof Error ? error.message : String(error);
  }
}

interface CopyFrom {
  readonly id: NodeId;
  readonly attempts?: number;
  readonly startLimitMs?: number;
}

async function copy(agent: Agent, order: Order, { id, ...limits }: CopyFrom) {
  const { paths, owner, config, view, state } = agent;
  const source = view.members.find(({ node_id }) => node_id === id);
  if (source === undefined || source.data_host === null || source.data_port === null) {
    throw new Error(`node ${id} has no data server to copy from`);
  }
  const note = noteProgress(agent, "clone");
  return agent.work.copy({
    ...limits,
    host: source.data_host,
    port: source.data_port,
    user: nodeRole(config.node.id),
    password: nodePassword(config, config.node.id),
    tlsFiles: dialTls(config),
    dir: paths.newDir,
    expectMajor: agent.binaries.major,
    ...(owner === undefined ? {} : { owner }),
    label: `pg_replica node ${config.node.id} epoch ${order.epoch}`,
    signal: order.signal,
    fast: true,
    ...(view.system_identifier === null ? {} : { expectSystemIdentifier: view.system_identifier }),
    onRetry: (why) => {
      state.problem = why;
    },
    onProgress: (...done) => {
      state.problem = undefined;
      note(...done);
    },
  });
}
