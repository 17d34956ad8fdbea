/** What lies in the data directory, and whose it is. Only what we made ourselves is ever moved or removed. */
import { rename } from "node:fs/promises";
import { dirname } from "node:path";
import type { Facts } from "../core/agent-rules.ts";
import type { Epoch } from "../core/ids.ts";
import type { AgentView } from "../db/node.ts";
import { type ControlState, readControlFile } from "../postgres/control-file.ts";
import { exists, namesIn, removeTree, syncDirectory } from "../postgres/files.ts";
import type { Agent } from "./context.ts";
import { isOlderCopy } from "./data-life.ts";
import { readIdentity, readJoining, readMarker, writeIdentity } from "./notes.ts";

export interface Disk {
  readonly kind: Facts["disk"];
  readonly systemIdentifier: string | undefined;
  /** For `marked`: in this epoch and later this node confirmed nothing, and its void report is sound. */
  readonly nothingFrom?: Epoch | undefined;
  /** For `founding`: the newest timeline that these data know of. */
  readonly timeline?: number;
  /** For `foreign`: what was found, in one sentence. */
  readonly problem?: string;
}

/** Look at the files; changes nothing. */
export async function classify(agent: Agent): Promise<Disk> {
  const { paths, view } = agent;
  const names = await namesIn(paths.dataDir);
  const marker = await readMarker(agent);
  if (marker !== undefined) {
    const ready = marker.whole !== undefined && (await isCopyThere(agent, names));
    const { nothingFrom } = marker;
    return { kind: ready ? "swapping" : "marked", systemIdentifier: undefined, nothingFrom };
  }
  if (names.length === 0) return { kind: "absent", systemIdentifier: undefined };
  const joining = await readJoining(agent);
  if (joining !== undefined) {
    const systemIdentifier = view.system_identifier ?? undefined;
    if (await isOlderCopy(agent)) return { kind: "older", systemIdentifier };
    if (joining.epoch === view.epoch) return { kind: "joining", systemIdentifier };
    // Meant for another primary than today's: without that one nobody knows where rewound data stand.
    if (joining.by === "rewind") {
      return { kind: "marked", systemIdentifier, nothingFrom: joining.epoch };
    }
    return { kind: "whole", systemIdentifier };
  }
  if (!names.includes("PG_VERSION")) {
    return foreign(`${paths.dataDir} holds files that are no PostgreSQL data directory`);
  }
  const { systemIdentifier, state, timeline } = await readControlFile(paths.dataDir);
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
  if (cluster === null) return { kind: "founding", systemIdentifier, timeline };
  return { kind: cluster === systemIdentifier ? "ours" : "lost_founding", systemIdentifier };
}

/** States in which only a server that took writes leaves its control file: no standby does. */
const WROTE: ReadonlySet<ControlState> = new Set(["in_production", "shutting_down", "shut_down"]);

/** Whether the newest epoch this node took part in was its own to lead; the founder's is, before it has begun. */
export function hasLed({ history, followed, node_id }: AgentView): boolean {
  const first = followed === 0n ? history[0]?.epoch : followed;
  return history.length === 0 || history.find(({ epoch }) => epoch === first)?.node_id === node_id;
}

/** A whole copy lies beside the data, or has taken their place already. */
async function isCopyThere({ paths }: Agent, names: readonly string[]): Promise<boolean> {
  return names.includes("PG_VERSION") || (await namesIn(paths.newDir)).includes("PG_VERSION");
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

/** Another founding won: our own, never started, goes. Refuses anything but the directory we made. */
export async function discardFounding(agent: Agent): Promise<void> {
  const { paths } = agent;
  const founding = await readIdentity(paths.founding);
  const { systemIdentifier } = await readControlFile(paths.dataDir);
  if (founding?.systemIdentifier !== systemIdentifier || founding.kept) {
    throw new Error(`${paths.dataDir} is not one that this node initialised: it stays`);
  }
  // Moved before it is removed: half a folder under its own name would be taken for somebody else's.
  await removeTree(paths.newDir);
  await rename(paths.dataDir, paths.newDir);
  await syncDirectory(dirname(paths.dataDir));
  await removeTree(paths.newDir);
  await removeTree(paths.founding);
}
