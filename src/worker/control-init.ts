/** Makes a node's control store, once: built aside, whole before it has its name, refused where a life began before. */
import { randomUUID } from "node:crypto";
import { readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { type Clock, monotonicClock } from "../clock/clock.ts";
import { type Identity, readIdentity, writeIdentity } from "../config/identity.ts";
import type { Config } from "../config/schema.ts";
import type { NodeId } from "../core/ids.ts";
import { connect } from "../db/connect.ts";
import { setUpStore } from "../db/control-setup.ts";
import { verifyPersistence, verifySettings } from "../db/durability.ts";
import { install } from "../db/install.ts";
import type { Binaries } from "../postgres/binaries.ts";
import { exists, isEmpty, removeTree, syncDirectory, writeDurable } from "../postgres/files.ts";
import { initdb } from "../postgres/initdb.ts";
import type { Owner } from "../postgres/owner.ts";
import { adoptServer, startServer, waitReady } from "../postgres/server.ts";
import { controlPaths, writeControlFiles } from "./control-settings.ts";

/** Something of an earlier life, or of somebody else, stands where the store would go. Nothing was changed. */
export class EarlierLife extends Error {
  override readonly name = "EarlierLife";
}

/** 107 bytes are what a socket's address holds. */
const SOCKET_PATH_LIMIT = 107;
const READY_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 20_000;

/** What a member says to a node that is to join: `pg_replica.invitation()`. */
export interface Invitation {
  readonly clusterId: string;
  /** The log of a newcomer begins where everybody's did. */
  readonly founders: Identity["founders"];
  /** Who may log in from the start; the log tells of all others. */
  readonly members: readonly NodeId[];
}

export interface CreateOptions {
  readonly clock?: Clock;
  /** Of a node that joins a cluster it is no initial member of. */
  readonly invitation?: Invitation;
  /** Of a cluster that is founded with data that are there already. */
  readonly keepsData?: boolean;
  /** Ends the making early; the next call begins anew. */
  readonly signal?: AbortSignal;
}

/**
 * Make the control store of a node that has never lived, and its identity.json. Interrupted anywhere it can be called
 * again. Throws EarlierLife, and what initdb or the server said.
 */
export async function createControlStore(
  config: Config,
  binaries: Binaries,
  owner: Owner | undefined,
  { clock = monotonicClock, signal, invitation, keepsData = false }: CreateOptions = {},
): Promise<Identity> {
  const paths = controlPaths(config);
  refuseLongSocketPath(paths.socketDir, config.control.port);
  const begun = await whatIsThere(config, keepsData);
  if (begun.identity !== undefined) return finish(config, begun.identity);
  const identity: Identity = {
    clusterId: invitation?.clusterId ?? config.clusterId,
    cluster: config.cluster,
    nodeId: config.node.id,
    name: config.node.name,
    incarnation: randomUUID(),
    founders: [...(invitation?.founders ?? config.peers)],
    introduced: [...(invitation?.members ?? config.peers.map(({ id }) => id))],
  };
  const reborn = invitation !== undefined;
  return make(config, identity, { binaries, owner, clock, signal, reborn });
}

/**
 * Make the control store of a node whose former one is lost, as another life: it may have voted and pledged, so it has
 * no voice until the log gives it one (H56). Its directory must be empty. Interrupted anywhere it can be called again.
 */
export async function recreateControlStore(
  config: Config,
  binaries: Binaries,
  owner: Owner | undefined,
  { clock = monotonicClock, signal }: CreateOptions = {},
): Promise<Identity> {
  const former = await readIdentity(config.dir);
  if (former === undefined) throw new EarlierLife(`${config.dir} says nothing of an earlier life`);
  if (!(await isEmpty(config.control.dir))) {
    throw new EarlierLife(`${config.control.dir} is not empty, and holds no control store`);
  }
  requireSame(config, former);
  if (await isWhole(config, former)) return finish(config, former);
  const identity = { ...former, incarnation: randomUUID() };
  return make(config, identity, { binaries, owner, clock, signal, reborn: true });
}

async function make(config: Config, identity: Identity, filling: Filling): Promise<Identity> {
  const { unfinished, initMarker } = controlPaths(config);
  const { binaries, owner, signal } = filling;
  await clearUnfinished(config, binaries);
  await writeDurable(initMarker, `${JSON.stringify(identity)}\n`, { owner });
  await initdb(binaries, { dir: unfinished, owner, walSegmentMb: 1 });
  signal?.throwIfAborted();
  await writeControlFiles(config, { dataDir: unfinished, binaries, owner, unverified: true });
  await fill(config, identity, filling);
  // From here on the store exists: all that is left is its name.
  await writeIdentity(config.dir, identity, owner);
  return finish(config, identity);
}

/** The store under construction is this very life's, and complete: its identity is written last. */
async function isWhole(config: Config, identity: Identity): Promise<boolean> {
  const { unfinished, initMarker } = controlPaths(config);
  if (!(await exists(initMarker)) || !(await exists(unfinished))) return false;
  return (await readFile(initMarker, "utf8")).includes(identity.incarnation);
}

/** An identity means that only the renaming is left. Throws EarlierLife for all that is not ours to touch. */
async function whatIsThere(
  config: Config,
  keepsData: boolean,
): Promise<{ readonly identity?: Identity }> {
  const { dataDir, unfinished, initMarker } = controlPaths(config);
  const identity = await readIdentity(config.dir);
  const begun = await exists(initMarker);
  if (!(await isEmpty(dataDir))) {
    throw new EarlierLife(
      identity === undefined
        ? `${dataDir} is not empty, and nothing says that it is ours: choose another control.dir`
        : `node ${identity.nodeId} of cluster ${identity.cluster} is initialised already`,
    );
  }
  if (identity !== undefined && (await isWhole(config, identity))) return { identity };
  if (identity !== undefined) {
    throw new EarlierLife(
      `${config.dir}/identity.json says that node ${identity.nodeId} of cluster ${identity.cluster} lived here, ` +
        "but its control store is gone: it may have voted and pledged; pg-replica run makes it anew",
    );
  }
  if (!begun && !(await isEmpty(unfinished))) {
    throw new EarlierLife(`${unfinished} is not empty, and pg_replica did not make it`);
  }
  if (!keepsData && config.data !== undefined && !(await isEmpty(config.data.dir))) {
    throw new EarlierLife(
      `${config.data.dir} is not empty: a new member gets its data from the cluster; choose another data.dir`,
    );
  }
  return {};
}

/** A making that was interrupted, its server included; the marker says that it is ours. */
async function clearUnfinished(config: Config, binaries: Binaries): Promise<void> {
  const { unfinished, initMarker } = controlPaths(config);
  if (!(await exists(initMarker))) return;
  if (await exists(unfinished)) {
    const server = await adoptServer({ binaries, dataDir: unfinished });
    await server?.stop("immediate", STOP_LIMIT_MS);
    await removeTree(unfinished);
  }
}

interface Filling {
  readonly binaries: Binaries;
  readonly owner: Owner | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
  readonly reborn: boolean;
}

/** Schema, identity and first members, while nobody else can reach the store. */
async function fill(
  config: Config,
  identity: Identity,
  { binaries, owner, clock, signal, reborn }: Filling,
): Promise<void> {
  const { unfinished: dataDir, socketDir, logFile } = controlPaths(config);
  const args = ["-c", "listen_addresses="];
  const server = await startServer({ binaries, dataDir, owner, logFile, socketDir, args });
  try {
    await waitReady(server, { clock, limitMs: READY_LIMIT_MS, signal });
    const db = await connect({
      host: socketDir,
      port: config.control.port,
      user: "postgres",
      applicationName: "pg_replica init",
      connectLimitMs: 5000,
    });
    try {
      await verifySettings(db);
      await install(db, "control");
      await verifyPersistence(db);
      await setUpStore(
        db,
        {
          node_id: identity.nodeId,
          name: identity.name,
          cluster_id: identity.clusterId,
          cluster_name: identity.cluster,
          incarnation: identity.incarnation,
          reborn,
        },
        { members: identity.founders, mode: config.syncMode ?? "quorum" },
      );
    } finally {
      await db.end();
    }
    signal?.throwIfAborted();
  } finally {
    if (server.alive()) await server.stop("fast", STOP_LIMIT_MS);
  }
}

/** The store gets its name; what said that it was unfinished goes last. */
async function finish(config: Config, identity: Identity): Promise<Identity> {
  const { dataDir, unfinished, initMarker } = controlPaths(config);
  requireSame(config, identity);
  await rename(unfinished, dataDir);
  await syncDirectory(dirname(dataDir));
  await removeTree(initMarker);
  return identity;
}

function requireSame(config: Config, identity: Identity): void {
  const same = identity.cluster === config.cluster && identity.clusterId === config.clusterId;
  if (same && identity.nodeId === config.node.id) return;
  throw new EarlierLife(
    `${config.dir} belongs to node ${identity.nodeId} of cluster ${identity.cluster} (${identity.clusterId})`,
  );
}

function refuseLongSocketPath(socketDir: string, port: number): void {
  const path = `${socketDir}/.s.PGSQL.${port}`;
  const bytes = Buffer.byteLength(path);
  if (bytes <= SOCKET_PATH_LIMIT) return;
  throw new Error(
    `the socket ${path} would have a path of ${bytes} bytes, ${SOCKET_PATH_LIMIT} are possible: ` +
      "move the node's directory to a shorter path",
  );
}
