/** A data directory that is there already becomes the first one of a new cluster: `pg-replica init --keep-data`. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../clock/clock.ts";
import { readIdentity as readNode } from "../config/identity.ts";
import type { Config } from "../config/schema.ts";
import { prepareKept } from "../db/data-kept.ts";
import type { Binaries } from "../postgres/binaries.ts";
import { readControlFile } from "../postgres/control-file.ts";
import { exists, removeTree, writeDurable } from "../postgres/files.ts";
import type { Owner } from "../postgres/owner.ts";
import { adoptServer, dropStaleLocks, startServer, waitReady } from "../postgres/server.ts";
import { hasStandbySignal, putStandbySignal, type Settings } from "../postgres/settings.ts";
import { dropHistoryFiles, historyFilesOf } from "../postgres/timelines.ts";
import { type DataConfig, type Paths, pathsOf } from "./context.ts";
import { readIdentity, writeFounding } from "./notes.ts";
import { DEFAULTS, hbaFor, prepareFiles } from "./settings.ts";

/** What lies there cannot be kept, and why. Nothing was changed. */
export class CannotKeep extends Error {
  override readonly name = "CannotKeep";
}

export interface KeepOptions {
  readonly config: Config;
  readonly data: DataConfig;
  readonly binaries: Binaries;
  readonly owner: Owner | undefined;
  readonly clock: Clock;
}

export interface Kept {
  readonly systemIdentifier: string;
  readonly timeline: number;
}

/** As long as a crash may take to be recovered from. */
const READY_LIMIT_MS = 10 * 60_000;
const STOP_LIMIT_MS = 60_000;

/**
 * Make sure that the data are whole, a server's that can be ours, and of nothing that still runs; note that this
 * cluster is founded with them. Interrupted anywhere it can be called again. Throws `CannotKeep`, and what the server
 * said.
 */
export async function keepData(options: KeepOptions): Promise<Kept> {
  const { config, data, owner } = options;
  const paths = pathsOf(config, data);
  const noted = await readIdentity(paths.founding);
  if (noted?.kept && noted.clusterId === config.clusterId) return readControlFile(paths.dataDir);
  await refuse(paths, options);
  await runOnce(options, paths);
  const { systemIdentifier, timeline } = await readControlFile(paths.dataDir);
  // Of timelines that these data did not follow: a standby that sees such a file waits for it (H35).
  const strange = (await historyFilesOf(paths.dataDir)).filter((one) => one.timeline > timeline);
  await dropHistoryFiles(
    paths.dataDir,
    strange.map((one) => one.timeline),
  );
  const { clusterId } = config;
  await writeFounding({ paths, owner }, { clusterId, systemIdentifier, kept: true });
  return { systemIdentifier, timeline };
}

async function refuse(
  { dataDir, marker, joining }: Paths,
  { config, binaries }: KeepOptions,
): Promise<void> {
  const lived = await readNode(config.dir);
  if (lived !== undefined) {
    throw new CannotKeep(
      `${config.dir}/identity.json says that node ${lived.nodeId} of cluster ${lived.cluster} lived here: move it away, and what is left of its control store`,
    );
  }
  const version = join(dataDir, "PG_VERSION");
  if (!(await exists(version))) {
    throw new CannotKeep(`${dataDir} is no PostgreSQL data directory: it has no PG_VERSION`);
  }
  const major = (await readFile(version, "utf8")).trim();
  if (major !== String(binaries.major)) {
    throw new CannotKeep(
      `${dataDir} is of PostgreSQL ${major}, and ${binaries.dir} is ${binaries.major}: set bin_dir, or run pg_upgrade first`,
    );
  }
  if (!(await exists(join(dataDir, "postgresql.conf")))) {
    throw new CannotKeep(
      `${dataDir}/postgresql.conf: missing: expected the server's settings beside its data: ` +
        "copy the file there, without data_directory, hba_file and ident_file",
    );
  }
  for (const note of [marker, joining]) {
    if (!(await exists(note))) continue;
    throw new CannotKeep(`${note} says that a copy into ${dataDir} was not finished`);
  }
  const server = await adoptServer({ binaries, dataDir });
  if (server === undefined) return;
  throw new CannotKeep(`a server runs on ${dataDir}, pid ${server.pid}: stop it first`);
}

/**
 * On no address, and writable, as it is for the last time: a crash is recovered from, and pg_control holds our settings
 * (a standby refuses to start with lower ones).
 */
async function runOnce(options: KeepOptions, paths: Paths): Promise<void> {
  const { config, data, binaries, owner, clock } = options;
  const { dataDir, socketDir, hbaFile, logFile } = paths;
  const wasStandby = await hasStandbySignal(dataDir);
  await prepareFiles({ config, owner, paths });
  await writeDurable(hbaFile, hbaFor("closed", []), { owner });
  await dropStaleLocks({ binaries, dataDir, socketDir });
  await removeTree(join(dataDir, "standby.signal"));
  try {
    const args = commandLine({ ...DEFAULTS, ...data.settings, ...privately(paths, data) });
    const server = await startServer({ binaries, dataDir, owner, logFile, socketDir, args });
    try {
      await waitReady(server, { clock, limitMs: READY_LIMIT_MS });
      const why = await prepareKept({ socketDir, port: data.port }, config.clusterId);
      if (why !== undefined) throw new CannotKeep(why);
    } finally {
      if (server.alive()) await server.stop("fast", STOP_LIMIT_MS);
    }
  } finally {
    if (wasStandby) await putStandbySignal(dataDir, owner);
  }
}

function privately({ socketDir, hbaFile, identFile }: Paths, { port }: DataConfig): Settings {
  return {
    listen_addresses: "",
    port,
    unix_socket_directories: socketDir,
    hba_file: hbaFile,
    ident_file: identFile,
    synchronous_standby_names: "",
    allow_in_place_tablespaces: true,
    restore_command: "",
  };
}

function commandLine(settings: Settings): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}
