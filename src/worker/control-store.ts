/** The life of a control store: started or adopted, verified, brought to this program's schema, stopped. */
import { rename } from "node:fs/promises";
import { dirname } from "node:path";
import type pg from "pg";
import type { Clock } from "../clock/clock.ts";
import { type Identity, readIdentity } from "../config/identity.ts";
import type { Config } from "../config/schema.ts";
import { scramVerifier, verifies } from "../config/secrets.ts";
import { type ConnectOptions, connect } from "../db/connect.ts";
import {
  loginsOf,
  promisesOf,
  putAddress,
  putSuperuserPassword,
  storedIdentity,
} from "../db/control-setup.ts";
import { UNSAFE, UnsafeStore, verifyPersistence, verifySettings } from "../db/durability.ts";
import { install } from "../db/install.ts";
import { upkeep } from "../db/node.ts";
import type { Log } from "../log/logger.ts";
import type { Binaries } from "../postgres/binaries.ts";
import { fence } from "../postgres/fence.ts";
import { exists, isEmpty, removeTree, syncDirectory } from "../postgres/files.ts";
import type { Owner } from "../postgres/owner.ts";
import { NICE } from "../postgres/priority.ts";
import { runProgram } from "../postgres/run.ts";
import {
  adoptServer,
  dropStaleLocks,
  type Server,
  startServer,
  waitReady,
} from "../postgres/server.ts";
import { listensAt } from "../postgres/settings.ts";
import { formerPath, withRoom } from "./ballast.ts";
import {
  controlPaths,
  isLeftUnverified,
  UNVERIFIED,
  writeControlFiles,
} from "./control-settings.ts";

export { createControlStore } from "./control-init.ts";

import { recreateControlStore } from "./control-init.ts";
import { damageIn } from "./damage.ts";
import { behindMark, readMark, removeMark } from "./life-mark.ts";
import { admitMembers } from "./logins.ts";

export interface ControlStore {
  readonly server: Server;
  readonly identity: Identity;
}

/** This node cannot run: it was never initialised, or is not what it was (H56). The message says what to do. */
export class ControlStoreLost extends Error {
  override readonly name = "ControlStoreLost";
}

const READY_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 20_000;
const FENCE_LIMIT_MS = 10_000;
const CONNECT_LIMIT_MS = 5000;
const RELOAD_LIMIT_MS = 5000;
const RELOAD_POLL_MS = 2;

/** How the node reaches its own control store: the private socket, as superuser. */
export function ownControlStore(
  config: Pick<Config, "dir" | "control">,
  applicationName: string,
): ConnectOptions {
  return {
    host: controlPaths(config).socketDir,
    port: config.control.port,
    user: "postgres",
    applicationName,
    connectLimitMs: CONNECT_LIMIT_MS,
  };
}

/**
 * Start this node's control store as `startOnce` does. One that is lost, damaged (as `damage` says, if it was found to
 * be) or an older copy of itself is made anew first: as another life, without a voice until the log gives it one (H56).
 */
export async function startControlStore(
  config: Config,
  binaries: Binaries,
  owner: Owner | undefined,
  { clock, log, damage }: { readonly clock: Clock; readonly log: Log; readonly damage?: string },
): Promise<ControlStore> {
  const start = () => startOnce(config, binaries, owner, { clock, log });
  const lost = await isLost(config);
  let unfit = lost ? "the control store is lost" : damage;
  if (unfit === undefined) {
    try {
      return await withRoom(config, log, start);
    } catch (error) {
      unfit = error instanceof OlderCopy ? error.message : damageIn(error);
      if (unfit === undefined) throw error;
    }
  }
  log.error({ event: "control.reborn" }, `${config.control.dir}: ${unfit}: it is made anew`);
  // In this order: interrupted between the two, what lies there must not pass for healthy (H56).
  if (!lost) await moveAside(config);
  await removeMark(config);
  await recreateControlStore(config, binaries, owner, { clock });
  return start();
}

/** An earlier life is on record, and nothing is left of its store. */
async function isLost(config: Config): Promise<boolean> {
  if ((await readIdentity(config.dir)) === undefined) return false;
  return !(await exists(`${config.control.dir}/PG_VERSION`)) && (await isEmpty(config.control.dir));
}

/** For whoever wants to know what it was, while there is room; the one before it goes. */
async function moveAside(config: Config): Promise<void> {
  const { dir } = config.control;
  const former = formerPath(config);
  await removeTree(former);
  await rename(dir, former);
  await syncDirectory(dirname(dir));
}

/** The store is not what it was: it has forgotten what it promised. */
class OlderCopy extends Error {
  override readonly name = "OlderCopy";
}

/**
 * Start this node's control store, or adopt the one that runs; verify that it keeps what it commits; install the
 * schema; admit the peers. Throws ControlStoreLost, OlderCopy and UnsafeStore (the store is then stopped),
 * InstallRefused, ServerGone with the end of its log.
 */
async function startOnce(
  config: Config,
  binaries: Binaries,
  owner: Owner | undefined,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<ControlStore> {
  const identity = await requireIdentity(config);
  const { dataDir, logFile, socketDir } = controlPaths(config);
  const running = await adoptInPlace(config, binaries, log);
  const files = { dataDir, binaries, owner };
  const unverified = running === undefined || (await isLeftUnverified(dataDir));
  await writeControlFiles(config, { ...files, unverified });
  if (running === undefined) {
    await endLeftovers(config, binaries, clock);
    await dropStaleLocks({ binaries, dataDir, socketDir });
    await refuseUnsafeFiles(binaries, dataDir, owner);
  }
  const server =
    running ??
    (await startServer({ binaries, dataDir, owner, logFile, socketDir, nice: NICE.control }));
  try {
    await waitReady(server, { clock, limitMs: READY_LIMIT_MS });
    if (server.adopted) server.reload();
    await makeReady(config, identity, { compare: server.adopted ? "record" : "catalog", log });
    if (unverified) {
      await writeControlFiles(config, { ...files, unverified: false });
      server.reload();
      await untilAnswering(config, clock);
    }
  } catch (error) {
    // An unsafe store must not answer its peers; one that somebody else started may run on otherwise.
    const mute =
      error instanceof UnsafeStore || error instanceof OlderCopy || damageIn(error) !== undefined;
    if (!server.adopted || mute) await stopIfAlive(server);
    throw error;
  }
  log.info(
    { event: server.adopted ? "control.adopted" : "control.started", pid: server.pid },
    server.adopted ? "the control store was running" : "the control store was started",
  );
  return { server, identity };
}

/** The one that runs; where the configuration has moved it, it is stopped first: ports are taken at the start. */
async function adoptInPlace(
  config: Config,
  binaries: Binaries,
  log: Log,
): Promise<Server | undefined> {
  const { dataDir } = controlPaths(config);
  const running = await adoptServer({ binaries, dataDir });
  if (running === undefined || (await listensAt(dataDir, config.control))) return running;
  const { listen, port } = config.control;
  log.info({ event: "control.stopped", pid: running.pid }, `it is to listen on ${listen}:${port}`);
  await running.stop("fast", STOP_LIMIT_MS);
  return undefined;
}

/** Fast: whoever waits for a COMMIT hears nothing, and asks again. */
export async function stopControlStore({ server }: Pick<ControlStore, "server">): Promise<void> {
  await stopIfAlive(server);
}

async function stopIfAlive(server: Server): Promise<void> {
  if (server.alive()) await server.stop("fast", STOP_LIMIT_MS);
}

/** Backends outlive a killed postmaster for a moment, or longer: no start succeeds beside them (H05, H26). */
async function endLeftovers(
  { control }: Pick<Config, "control">,
  binaries: Binaries,
  clock: Clock,
): Promise<void> {
  if (!(await exists(`${control.dir}/postmaster.pid`))) return;
  const { dir: dataDir, port, listen } = control;
  await fence({ dataDir, binaries, port, listen, clock, limitMs: FENCE_LIMIT_MS });
}

async function requireIdentity(config: Config): Promise<Identity> {
  const identity = await readIdentity(config.dir);
  const hasStore = await exists(`${config.control.dir}/PG_VERSION`);
  if (identity === undefined) {
    throw new ControlStoreLost(
      hasStore
        ? `${config.control.dir} holds a control store, but ${config.dir}/identity.json is gone: restore that file`
        : `node ${config.node.name} was never initialised: run pg-replica init`,
    );
  }
  const same = identity.cluster === config.cluster && identity.clusterId === config.clusterId;
  if (!same || identity.nodeId !== config.node.id) {
    throw new ControlStoreLost(
      `${config.dir} belongs to node ${identity.nodeId} of cluster ${identity.cluster}, ` +
        `but the configuration says node ${config.node.id} of cluster ${config.cluster}`,
    );
  }
  if (!hasStore) {
    throw new ControlStoreLost(
      `${config.control.dir} holds files, and no control store: move them away, and it is made anew`,
    );
  }
  return identity;
}

/** Asked of the files before anything listens: ALTER SYSTEM outlives every start. */
async function refuseUnsafeFiles(
  binaries: Binaries,
  dataDir: string,
  owner: Owner | undefined,
): Promise<void> {
  const problems = await Promise.all(
    UNSAFE.map(async ({ setting, value }) => {
      const args = ["-D", dataDir, "-C", setting];
      const program = binaries.program("postgres");
      const { stdout } = await runProgram(program, args, { owner, limitMs: 10_000 });
      return stdout.trim() === value ? [`${setting} is ${value}, expected on`] : [];
    }),
  );
  if (problems.flat().length > 0) throw new UnsafeStore(problems.flat());
}

async function makeReady(
  config: Config,
  identity: Identity,
  { compare, log }: { readonly compare: "catalog" | "record"; readonly log: Log },
): Promise<void> {
  const db = await connect(ownControlStore(config, "pg_replica setup"));
  try {
    await verifySettings(db);
    const { migrations, replaced } = await install(db, "control", { compare });
    if (migrations.length + replaced.length > 0) {
      log.info(
        { event: "control.installed", migrations, files: replaced.length },
        "the schema of the control store was brought up to date",
      );
    }
    await verifyPersistence(db);
    await requireSameLife(db, identity);
    const behind = behindMark(identity.incarnation, await promisesOf(db), await readMark(config));
    if (behind !== undefined) throw new OlderCopy(behind);
    await putAddress(db, config);
    await admitMembers(db, config, await upkeep(db), identity.introduced);
    await putSuperuser(db, config);
  } finally {
    await db.end();
  }
}

/** Until new connections go by it: the postmaster has read it before it tells those that are open. */
async function untilAnswering(config: Config, clock: Clock): Promise<void> {
  const db = await connect(ownControlStore(config, "pg_replica setup"));
  try {
    for (const deadline = clock.now() + RELOAD_LIMIT_MS; await isUnverified(db); ) {
      if (clock.now() > deadline) throw new Error(`${config.control.dir}: settings not reloaded`);
      await clock.sleep(RELOAD_POLL_MS);
    }
  } finally {
    await db.end();
  }
}

async function isUnverified(db: pg.Client): Promise<boolean> {
  const { rows } = await db.query<{ value: string | null }>(
    "select current_setting($1, true) as value",
    [UNVERIFIED],
  );
  return rows[0]?.value === "on";
}

async function requireSameLife(db: pg.Client, identity: Identity): Promise<void> {
  const stored = await storedIdentity(db);
  const same =
    stored?.incarnation === identity.incarnation &&
    stored.cluster_id === identity.clusterId &&
    stored.node_id === identity.nodeId;
  if (same) return;
  throw new ControlStoreLost(
    `the control store is incarnation ${stored?.incarnation ?? "(none)"}, identity.json says ` +
      `${identity.incarnation}: one of them was replaced; this node must not vote`,
  );
}

/** The superuser's password; one that fits is left alone: each change is a commit. */
async function putSuperuser(db: pg.Client, { superuserPassword: password }: Config): Promise<void> {
  const known = (await loginsOf(db, ["postgres"])).get("postgres") ?? null;
  if (password === undefined ? known === null : verifies(known, password)) return;
  await putSuperuserPassword(db, password === undefined ? undefined : scramVerifier(password));
}
