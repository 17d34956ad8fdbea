/** The history files of a data directory: which timelines it has seen, and where each began (H35). */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Lsn, parseLsn } from "../core/ids.ts";
import { removeTree, syncDirectory, writeDurable } from "./files.ts";
import type { Owner } from "./owner.ts";

export interface HistoryFile {
  readonly timeline: number;
  /** It only takes a number, so that a promotion chooses the one after it. */
  readonly seed: boolean;
}

const SEED_REASON = "reserved by pg_replica, never used";

export function historyName(timeline: number): string {
  return `${timeline.toString(16).toUpperCase().padStart(8, "0")}.history`;
}

function pathOf(dataDir: string, timeline: number): string {
  return join(dataDir, "pg_wal", historyName(timeline));
}

/** Those there, by number. */
export async function historyFilesOf(dataDir: string): Promise<readonly HistoryFile[]> {
  const names = await readdir(join(dataDir, "pg_wal"));
  const timelines = names
    .filter((name) => /^[0-9A-F]{8}\.history$/.test(name))
    .map((name) => Number.parseInt(name, 16))
    .sort((a, b) => a - b);
  return Promise.all(
    timelines.map(async (timeline) => ({
      timeline,
      seed: (await readFile(pathOf(dataDir, timeline), "utf8")).includes(SEED_REASON),
    })),
  );
}

/** Durably. */
export async function dropHistoryFiles(
  dataDir: string,
  timelines: readonly number[],
): Promise<void> {
  if (timelines.length === 0) return;
  for (const timeline of timelines) await removeTree(pathOf(dataDir, timeline));
  await syncDirectory(join(dataDir, "pg_wal"));
}

/** A file that takes a number: it names a fork that lies far behind, so that recovery itself never follows it. */
export function putSeed(
  dataDir: string,
  { timeline, from }: { readonly timeline: number; readonly from: number },
  owner: Owner | undefined,
): Promise<void> {
  return writeDurable(pathOf(dataDir, timeline), `${from}\t0/1\t${SEED_REASON}\n`, { owner });
}

/** Where a timeline began: the last line of its history file. Throws when there is none. */
export async function switchPointOf(dataDir: string, timeline: number): Promise<Lsn> {
  const lines = (await readFile(pathOf(dataDir, timeline), "utf8")).split("\n");
  const last = lines.filter((line) => /^\s*\d+\s+[0-9A-F]+\/[0-9A-F]+/i.test(line)).at(-1);
  const lsn = last?.trim().split(/\s+/)[1];
  if (lsn === undefined) throw new Error(`${historyName(timeline)} names no switch point`);
  return parseLsn(lsn);
}
