/** What lies in the data directory, and whose it is. Only what we made ourselves is ever moved or removed. */
import { readdir, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import type { Facts } from "../core/agent-rules.ts";
import type { Epoch } from "../core/ids.ts";
import type { AgentView } from "../db/node.ts";
import { type ControlState, readControlFile } from "../postgres/control-file.ts";
import { exists, isMissing, removeTree, syncDirectory, writeDurable } from "../postgres/files.ts";
import type { Agent } from "./context.ts";
import { isOlderCopy } from "./data-life.ts";

/** `data.json` and `founding.json`; a marker names the data it replaces. */
interface Identity {
  readonly clusterId: string;
  /** Absent in `founding.json` while initdb runs. */
  readonly systemIdentifier?: string;
}

export interface Disk {
  readonly kind: Facts["disk"];
  readonly systemIdentifier: string | undefined;
  /** For `foreign`: what was found, in one sentence. */
  readonly problem?: string;
}

/** Look at the files; changes nothing. */
export async function classify(agent: Agent): Promise<Disk> {
  const { paths, view } = agent;
  if (await exists(paths.marker)) return { kind: "marked", systemIdentifier: undefined };
  const joining = await joiningEpoch(agent);
  if (joining !== undefined) {
    // Meant for another primary than today's: nothing is known of where it stands.
    const kind = joining === view.epoch ? "joining" : "marked";
    return { kind, systemIdentifier: view.system_identifier ?? undefined };
  }
  const names = await namesIn(paths.dataDir);
  if (names.length === 0) return { kind: "absent", systemIdentifier: undefined };
  if (!names.includes("PG_VERSION")) {
    return foreign(`${paths.dataDir} holds files that are no PostgreSQL data directory`);
  }
  const { systemIdentifier, state } = await readControlFile(paths.dataDir);
  const own = await readIdentity(paths.identity);
  const cluster = view.system_identifier;
  if (own?.clusterId === view.cluster_id && own.systemIdentifier === systemIdentifier) {
    if (cluster === null || cluster === systemIdentifier) {
      if (await isOlderCopy(agent)) return { kind: "older", systemIdentifier };
      const kind = WROTE.has(state) && !hasLed(view) ? "rogue" : "ours";
      return { kind, systemIdentifier };
    }
    return foreign(
      `${paths.dataDir} is of system ${systemIdentifier}, the cluster's is ${cluster}`,
    );
  }
  const founding = await readIdentity(paths.founding);
  if (founding?.clusterId !== view.cluster_id || founding.systemIdentifier !== systemIdentifier) {
    return foreign(
      `${paths.dataDir} was not made by this cluster: move it away, or name another data.dir`,
    );
  }
  if (cluster === null) return { kind: "founding", systemIdentifier };
  return { kind: cluster === systemIdentifier ? "ours" : "lost_founding", systemIdentifier };
}

/** States in which only a server that took writes leaves its control file: no standby does. */
const WROTE: ReadonlySet<ControlState> = new Set(["in_production", "shutting_down", "shut_down"]);

/** Whether the newest epoch this node took part in was its own to lead; the founder's is, before it has begun. */
export function hasLed({ history, followed, node_id }: AgentView): boolean {
  const first = followed === 0n ? history[0]?.epoch : followed;
  return history.length === 0 || history.find(({ epoch }) => epoch === first)?.node_id === node_id;
}

/** The epoch whose primary the data were copied or rewound for; undefined when nothing says so. */
async function joiningEpoch({ paths }: Agent): Promise<Epoch | undefined> {
  if (!(await exists(paths.joining))) return undefined;
  const read: unknown = JSON.parse(await readFile(paths.joining, "utf8"));
  const epoch = typeof read === "object" && read !== null && "epoch" in read ? read.epoch : "0";
  return BigInt(String(epoch));
}

/** The data directory is whole again, for the primary of this epoch, and must prove it before it counts (H39). */
export async function putJoining(agent: Agent, epoch: Epoch): Promise<void> {
  const { paths, owner } = agent;
  await writeDurable(paths.joining, `${JSON.stringify({ epoch: epoch.toString() })}\n`, { owner });
  await removeTree(paths.marker);
}

/** What a copy replaced, when the worker ended before it was removed. Only what is ours. */
export async function removeReplaced(agent: Agent): Promise<void> {
  const { paths } = agent;
  if (!(await exists(paths.oldDir))) return;
  const { systemIdentifier } = await readControlFile(paths.oldDir);
  const own = await readIdentity(paths.identity);
  const ours =
    own?.clusterId === agent.view.cluster_id && own.systemIdentifier === systemIdentifier;
  if (ours) await removeTree(paths.oldDir);
}

function foreign(problem: string): Disk {
  return { kind: "foreign", systemIdentifier: undefined, problem };
}

/** This data directory is the cluster's: what we founded has been committed. Idempotent. */
export async function adoptFounding(agent: Agent, systemIdentifier: string): Promise<void> {
  const { paths } = agent;
  if (!(await exists(paths.founding))) return;
  await writeIdentity(agent, systemIdentifier);
  await removeTree(paths.founding);
}

export async function writeIdentity(agent: Agent, systemIdentifier: string): Promise<void> {
  const { paths, owner, view } = agent;
  const identity: Identity = { clusterId: view.cluster_id, systemIdentifier };
  await writeDurable(paths.identity, `${JSON.stringify(identity)}\n`, { owner });
}

/** Note durably, before initdb begins, that what appears in `data.new` is ours. */
export async function writeFounding(agent: Agent, systemIdentifier?: string): Promise<void> {
  const { paths, owner, view } = agent;
  const identity: Identity = {
    clusterId: view.cluster_id,
    ...(systemIdentifier === undefined ? {} : { systemIdentifier }),
  };
  await writeDurable(paths.founding, `${JSON.stringify(identity)}\n`, { owner });
}

/** Another founding won: our own, never started, goes. Refuses anything but the directory we initialised. */
export async function discardFounding(agent: Agent): Promise<void> {
  const { paths } = agent;
  const founding = await readIdentity(paths.founding);
  const { systemIdentifier } = await readControlFile(paths.dataDir);
  if (founding?.systemIdentifier !== systemIdentifier) {
    throw new Error(`${paths.dataDir} is not the one this node initialised: it stays`);
  }
  // Moved before it is removed: half a folder under its own name would be taken for somebody else's.
  await removeTree(paths.newDir);
  await rename(paths.dataDir, paths.newDir);
  await syncDirectory(dirname(paths.dataDir));
  await removeTree(paths.newDir);
  await removeTree(paths.founding);
}

/** From here on `data` is never started, until a complete copy has replaced it (H04). */
export async function putMarker(agent: Agent): Promise<void> {
  const { paths, owner, view } = agent;
  if (await exists(paths.marker)) return;
  await removeReplaced(agent);
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
  const text = { clusterId: view.cluster_id, replaces: await exists(paths.dataDir) };
  await writeDurable(paths.marker, `${JSON.stringify(text)}\n`, { owner });
  await removeTree(paths.joining);
}

/** The complete copy takes the place of what was there; the marker still stands afterwards. */
export async function swapIn(agent: Agent): Promise<void> {
  const { paths } = agent;
  if ((await namesIn(paths.dataDir)).length > 0) {
    await removeTree(paths.oldDir);
    await rename(paths.dataDir, paths.oldDir);
  }
  await rename(paths.newDir, paths.dataDir);
  await syncDirectory(dirname(paths.dataDir));
}

/** Names in a folder; a missing one is empty, and so is a fresh file system's. */
export async function namesIn(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).filter((name) => name !== "lost+found");
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function readIdentity(path: string): Promise<Identity | undefined> {
  if (!(await exists(path))) return undefined;
  const read: unknown = JSON.parse(await readFile(path, "utf8"));
  return typeof read === "object" && read !== null && "clusterId" in read
    ? (read as Identity)
    : undefined;
}
