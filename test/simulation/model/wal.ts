/** A data directory's contents as far as they matter: WAL as a list of records, slots, and what pg_control says. */
import type { Files } from "../files.ts";

/** A row of `pgreplica.stamp`. */
export interface StampRow {
  readonly cluster_id: string;
  readonly epoch: number;
  readonly node_id: number;
  readonly timeline: number;
  readonly switch_lsn: string;
  /** Random: two promotions never leave the same stamp. */
  readonly stamp_id: string;
}

/** One record. `previous` is what makes two histories of the same length different. */
export interface Rec {
  readonly id: number;
  readonly previous: number;
  readonly start: number;
  readonly end: number;
  readonly timeline: number;
  readonly kind: "boot" | "commit" | "stamp" | "switch" | "checkpoint" | "shutdown" | "mark";
  readonly key?: string;
  readonly stamp?: StampRow;
}

export interface Fork {
  readonly timeline: number;
  readonly at: number;
}

export const SEGMENT = 4 * 1024 * 1024;
let records = 0;

/** Record numbers begin again with each world: they are part of what is traced. */
export function resetRecords(from: number): void {
  records = from;
}

export function lastRecord(): number {
  return records;
}

export class PgData {
  readonly systemIdentifier: string;
  /** What is on disk; a running primary's unflushed tail lies in its server. */
  wal: Rec[] = [];
  /** Bytes of an unfinished record behind the last whole one. */
  partial = 0;
  state: "in_production" | "in_archive_recovery" | "shut_down" | "shut_down_in_recovery";
  /** Of the last checkpoint: behind the truth right after a promotion (H03). */
  timeline = 1;
  checkpointLsn = 0;
  slots = new Map<string, { restart: number; active: boolean; lost: boolean }>();
  /** Oldest WAL still there. */
  oldest = 0;
  /** A rewind or a copy was cut off: what it holds is nobody's history. */
  torn = false;

  constructor(systemIdentifier: string) {
    this.systemIdentifier = systemIdentifier;
    this.state = "shut_down";
  }

  end(): number {
    return this.wal.at(-1)?.end ?? SEGMENT * 4;
  }

  lastTimeline(): number {
    return this.wal.at(-1)?.timeline ?? 1;
  }

  append(kind: Rec["kind"], bytes: number, more: Partial<Rec> = {}, tail: Rec[] = this.wal): Rec {
    const before = tail.at(-1) ?? this.wal.at(-1);
    records += 1;
    const start = before?.end ?? SEGMENT * 4;
    const record: Rec = {
      id: records,
      previous: before?.id ?? 0,
      start,
      end: start + Math.ceil(bytes / 8) * 8,
      timeline: before?.timeline ?? 1,
      kind,
      ...more,
    };
    tail.push(record);
    return record;
  }

  newestStamp(upTo = this.wal.length): StampRow | undefined {
    for (let at = upTo - 1; at >= 0; at -= 1) {
      const { stamp } = this.wal[at] as Rec;
      if (stamp !== undefined) return stamp;
    }
    return undefined;
  }

  /** Every stamp of this history, oldest first. */
  stamps(upTo = this.wal.length): StampRow[] {
    return this.wal.slice(0, upTo).flatMap(({ stamp }) => stamp ?? []);
  }

  copy(): PgData {
    const twin = new PgData(this.systemIdentifier);
    twin.wal = [...this.wal];
    twin.partial = this.partial;
    twin.state = this.state;
    twin.timeline = this.timeline;
    twin.checkpointLsn = this.checkpointLsn;
    twin.oldest = this.oldest;
    twin.torn = this.torn;
    twin.slots = new Map([...this.slots].map(([name, slot]) => [name, { ...slot, active: false }]));
    return twin;
  }
}

export function historyName(timeline: number): string {
  return `${timeline.toString(16).toUpperCase().padStart(8, "0")}.history`;
}

/** The forks a history file tells, oldest first. */
export function readHistory(files: Files, dataDir: string, timeline: number): Fork[] | undefined {
  const file = files.find(`${dataDir}/pg_wal/${historyName(timeline)}`);
  if (file === undefined) return timeline === 1 ? [] : undefined;
  return file.text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [number = "0", lsn = "0/0"] = line.trim().split(/\s+/);
      return { timeline: Number(number), at: parseLsn(lsn) };
    });
}

export function newestTimeline(files: Files, dataDir: string, from: number): number {
  let newest = from;
  while (files.has(`${dataDir}/pg_wal/${historyName(newest + 1)}`)) newest += 1;
  return newest;
}

export function formatLsn(lsn: number): string {
  const high = Math.floor(lsn / 4294967296);
  return `${high.toString(16)}/${(lsn % 4294967296).toString(16)}`.toUpperCase();
}

export function parseLsn(text: string): number {
  const [high = "0", low = "0"] = text.split("/");
  return Number.parseInt(high, 16) * 4294967296 + Number.parseInt(low, 16);
}

export function controlFile(dataDir: string): string {
  return `${dataDir}/global/pg_control`;
}

export function dataOf(files: Files, dataDir: string): PgData | undefined {
  const found = files.find(controlFile(dataDir))?.object;
  return found instanceof PgData ? found : undefined;
}

/** Settings as the last file says them; `name = 'value'` lines only, as the product writes them. */
export function readConf(files: Files, dataDir: string): ReadonlyMap<string, string> {
  const conf = new Map<string, string>();
  for (const name of ["pgreplica.conf", "postgresql.auto.conf"]) {
    for (const line of files.find(`${dataDir}/${name}`)?.text.split("\n") ?? []) {
      const [, key, value] = /^([\w.]+) = '?(.*?)'?$/.exec(line) ?? [];
      if (key !== undefined) conf.set(key, (value ?? "").replaceAll("''", "'"));
    }
  }
  return conf;
}

export interface SyncRule {
  readonly text: string;
  readonly k: number;
  readonly names: readonly string[];
}

/** `ANY k (a, b)`; empty: nobody is waited for. */
export function parseRule(text: string): SyncRule {
  const [, k = "0", list = ""] = /^ANY (\d+) \((.*)\)$/.exec(text) ?? [];
  const names = list
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "");
  return { text, k: Number(k), names };
}
