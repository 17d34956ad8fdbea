/**
 * A copy is made beside the data and takes their place when it is whole. Until then the data stay what they were, and
 * a node that is asked for a report can still give it (H04, D4); afterwards the marker says that the copy is whole, and
 * whoever finds it goes on from there, whether there is a primary or not.
 */
import { rename } from "node:fs/promises";
import { dirname } from "node:path";
import { readControlFile } from "../postgres/control-file.ts";
import { exists, namesIn, removeTree, syncDirectory } from "../postgres/files.ts";
import type { Agent, Order } from "./context.ts";
import { renewLife } from "./data-life.ts";
import { putJoining, putMarker, readMarker, writeCopying, writeIdentity } from "./notes.ts";
import { fenceServer } from "./servers.ts";
import { aloneWanted, prepareFiles, writeWanted } from "./settings.ts";

/** An empty place for a copy, noted as ours before its first byte. Refuses what nothing says is ours. */
export async function makeRoom(agent: Agent): Promise<void> {
  const { paths, state } = agent;
  await state.sweeping;
  await sweep(agent);
  if (await exists(paths.founding)) {
    // An initdb of ours that was cut off, or came too late.
    await removeTree(paths.newDir);
    await removeTree(paths.founding);
  }
  for (const path of [paths.newDir, paths.oldDir]) {
    if ((await namesIn(path)).length > 0) {
      throw new Error(`${path} is in the way, and nothing says that it is ours: move it away`);
    }
  }
  await writeCopying(agent);
}

/** The copy in `data.new` is whole, durable and read-only: from here on it is the node's data, whatever happens. */
export async function replaceData(agent: Agent, order: Order): Promise<void> {
  await putMarker(agent, { whole: order.epoch });
  await putInPlace(agent);
}

/** The same for one that was found: begun, and cut off. */
export async function swap(agent: Agent, order: Order): Promise<void> {
  if (await exists(agent.paths.dataDir)) await fenceServer(agent, order.why);
  await putInPlace(agent);
  await sweepAside(agent, order.signal);
}

/** Every step may have been done before. The marker goes last. */
async function putInPlace(agent: Agent): Promise<void> {
  const { paths } = agent;
  const { whole } = (await readMarker(agent)) ?? {};
  if (whole === undefined) throw new Error(`${paths.marker} speaks of no whole copy`);
  if ((await namesIn(paths.newDir)).length > 0) {
    if ((await namesIn(paths.dataDir)).length > 0) await rename(paths.dataDir, paths.oldDir);
    await rename(paths.newDir, paths.dataDir);
    await syncDirectory(dirname(paths.dataDir));
  }
  // Whoever starts this directory then meets our settings, not the primary's.
  await prepareFiles(agent);
  await writeWanted(agent, aloneWanted(agent));
  const { systemIdentifier } = await readControlFile(paths.dataDir);
  await writeIdentity(agent, systemIdentifier);
  await renewLife(agent);
  await putJoining(agent, { epoch: whole, by: "copy" });
}

/** What a copy replaced, or left unfinished, goes; a newer order does not wait for it. */
export async function sweepAside(agent: Agent, signal: AbortSignal): Promise<void> {
  const { state, log } = agent;
  const before = state.sweeping ?? Promise.resolve();
  const swept = before
    .then(() => sweep(agent))
    .catch((error: unknown) =>
      log.warn({ event: "agent.failed", error: String(error) }, "could not remove an old copy"),
    );
  state.sweeping = swept;
  const stale = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await Promise.race([swept, stale]);
}

/** Only what the note says is ours, and the note last. */
async function sweep({ paths }: Agent): Promise<void> {
  if (!(await exists(paths.copying))) return;
  await removeTree(paths.newDir);
  await removeTree(paths.oldDir);
  await removeTree(paths.copying);
}
