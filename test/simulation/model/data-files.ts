/** Files of a data directory that a server itself writes and reads: postmaster.pid, history files, login rules. */
import type { Files } from "../files.ts";
import type { DataServer } from "./data-server.ts";
import { formatLsn, historyName, newestTimeline, type PgData, readHistory } from "./wal.ts";

/** Recovery follows the newest history file there is; one that forked off earlier ends the server (H35). */
export function cannotFollow(files: Files, dataDir: string, data: PgData): string | undefined {
  const own = Math.max(data.timeline, data.lastTimeline());
  const newest = newestTimeline(files, dataDir, own);
  if (newest === own) return undefined;
  const fork = readHistory(files, dataDir, newest)?.find(({ timeline }) => timeline === own);
  if (fork !== undefined && fork.at >= data.checkpointLsn) return undefined;
  return `requested timeline ${newest} is not a child of this server's history`;
}

/** What a promotion leaves: the history so far, and where it was left. */
export function writeHistory(
  files: Files,
  dataDir: string,
  { old, timeline, at }: { readonly old: number; readonly timeline: number; readonly at: number },
): void {
  const before = files.find(`${dataDir}/pg_wal/${historyName(old)}`)?.text ?? "";
  const line = `${old}\t${formatLsn(at)}\tno recovery target specified\n`;
  files.write(`${dataDir}/pg_wal/${historyName(timeline)}`, before + line);
}

/** Whether the login rules in force admit clients. */
export function isOpen(files: Files, conf: ReadonlyMap<string, string>): boolean {
  const text = files.find(conf.get("hba_file") ?? "")?.text ?? "";
  return /\ball\b.*\ball\b.*127/.test(text);
}

export function writePidFile(server: DataServer, status: string): void {
  const { conf, dataDir, proc, world, node, segment } = server;
  const lines = [
    proc.pid,
    dataDir,
    Math.floor(world.engine.now),
    conf.get("port") ?? "0",
    conf.get("unix_socket_directories"),
    (conf.get("listen_addresses") ?? "").split(",")[0],
    // Key and id of the shared memory segment.
    `${1000 + node} ${segment}`,
    status,
    "",
  ];
  world.files.write(`${dataDir}/postmaster.pid`, lines.join("\n"));
}
