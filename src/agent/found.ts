/** The first data directory of a cluster: initialised by the leader's node, and the cluster's only once committed. */
import { rename } from "node:fs/promises";
import { dirname } from "node:path";
import { readControlFile } from "../postgres/control-file.ts";
import { exists, namesIn, removeTree, syncDirectory, writeDurable } from "../postgres/files.ts";
import { initdb } from "../postgres/initdb.ts";
import { startServer, waitReady } from "../postgres/server.ts";
import { writeSettings } from "../postgres/settings.ts";
import { type Agent, type Order, recheck } from "./context.ts";
import { writeFounding } from "./notes.ts";
import { hbaFor, prepareFiles, settingsFor } from "./settings.ts";

const START_LIMIT_MS = 60_000;
/**
 * A promotion copies the last segment to its new timeline, and each standby fetches that segment from its beginning:
 * both stand between a failover and the first write, and small ones cost a running server nothing.
 */
const WAL_SEGMENT_MB = 4;

/**
 * initdb into `data.new`, identity noted, then renamed: a crash at any point leaves either nothing or a complete
 * directory that `founding.json` says is ours. The observation then carries its system identifier.
 */
export async function foundCluster(agent: Agent, order: Order): Promise<void> {
  const { paths, binaries, owner, view } = agent;
  const clusterId = view.cluster_id;
  if ((await namesIn(paths.newDir)).length > 0) await removeOwnLeftover(agent);
  await writeFounding(agent, { clusterId });
  await initdb(binaries, { dir: paths.newDir, owner, walSegmentMb: WAL_SEGMENT_MB });
  await recordSettings(agent);
  const { systemIdentifier } = await readControlFile(paths.newDir);
  recheck(agent, order);
  await writeFounding(agent, { clusterId, systemIdentifier });
  await rename(paths.newDir, paths.dataDir);
  await syncDirectory(dirname(paths.dataDir));
}

/**
 * Run it once with our settings, on no address: pg_control then holds them. A standby refuses to start when
 * max_connections and its like are lower than pg_control says, and initdb leaves its own there.
 */
async function recordSettings(agent: Agent): Promise<void> {
  const { paths, binaries, owner, clock } = agent;
  await prepareFiles(agent);
  const wanted = { upstream: undefined, listen: false, gate: "closed", standbyNames: "" } as const;
  await writeSettings(paths.newDir, settingsFor(agent, wanted, 0n), owner);
  await writeDurable(paths.hbaFile, hbaFor("closed", []), { owner });
  const { newDir: dataDir, logFile, socketDir } = paths;
  const server = await startServer({ binaries, dataDir, owner, logFile, socketDir });
  await waitReady(server, { clock, limitMs: START_LIMIT_MS });
  await server.stop("fast", START_LIMIT_MS);
}

/** `founding.json` stood before anything was written there; without it the folder is somebody else's. */
async function removeOwnLeftover({ paths }: Agent): Promise<void> {
  if (!(await exists(paths.founding))) {
    throw new Error(
      `${paths.newDir} is in the way, and nothing says that it is ours: move it away`,
    );
  }
  await removeTree(paths.newDir);
}
