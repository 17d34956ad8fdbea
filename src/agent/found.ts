/** The first data directory of a cluster: initialised by the leader's node, and the cluster's only once committed. */
import { rename } from "node:fs/promises";
import { dirname } from "node:path";
import { readControlFile } from "../postgres/control-file.ts";
import { exists, removeTree, syncDirectory } from "../postgres/files.ts";
import { initdb } from "../postgres/initdb.ts";
import { type Agent, type Order, recheck } from "./context.ts";
import { namesIn, writeFounding } from "./disk.ts";

/**
 * initdb into `data.new`, identity noted, then renamed: a crash at any point leaves either nothing or a complete
 * directory that `founding.json` says is ours. The observation then carries its system identifier.
 */
export async function foundCluster(agent: Agent, order: Order): Promise<void> {
  const { paths, binaries, owner } = agent;
  if ((await namesIn(paths.newDir)).length > 0) await removeOwnLeftover(agent);
  await writeFounding(agent);
  await initdb(binaries, { dir: paths.newDir, owner });
  const { systemIdentifier } = await readControlFile(paths.newDir);
  recheck(agent, order);
  await writeFounding(agent, systemIdentifier);
  await rename(paths.newDir, paths.dataDir);
  await syncDirectory(dirname(paths.dataDir));
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
