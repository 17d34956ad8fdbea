/** One fault under a writing client: how long nothing was acknowledged, and whether all that was is there. */
import type { Cluster, Injection } from "./cluster.ts";
import { type Healthy, untilHealthy } from "./health.ts";
import { watchLag } from "./lag.ts";
import { createWriterTable, startWriter, type Writer, type WriterResult } from "./writer.ts";

export type Fault = (primary: number) => Promise<Injection> | Injection;

export interface RoundOptions {
  readonly fault: Fault;
  /** Undo the fault (thaw), after writes go on. */
  readonly heal?: (injection: Injection, newPrimary: number) => Promise<void> | void;
  /** How long the gap may last at all, milliseconds. */
  readonly limitMs?: number;
  readonly table?: string;
}

export interface Round extends WriterResult {
  /** From the fault's first signal to the first acknowledgement over a connection made after it. */
  readonly gapMs: number;
  readonly before: Healthy;
  readonly after: Healthy;
  /** Node whose data server acknowledged first after the fault. */
  readonly taker: number;
  /** 99th percentile of the event loop's lag from fault to acknowledgement, milliseconds. */
  readonly lagMs: number;
}

/** Inject, measure, heal, wait for full health, check every acknowledged row. */
export async function faultUnderLoad(cluster: Cluster, options: RoundOptions): Promise<Round> {
  const before = await untilHealthy(cluster);
  const table = options.table ?? "written";
  await createWriterTable(cluster.node(before.primary).data.uri, table);
  const writer = startWriter({ hosts: cluster.dataUris(), table, writer: nextWriter() });
  try {
    await writer.untilAcknowledged(100, 10_000);
    const lag = watchLag();
    const injection = await options.fault(before.primary);
    const ack = await writer.nextAckOverNewConnection(injection.at, options.limitMs ?? 30_000);
    const lagMs = lag.stop();
    await writer.untilAcknowledged(100, 10_000);
    const taker = cluster.nodes[ack.host]?.id ?? 0;
    await options.heal?.(injection, taker);
    const after = await untilHealthy(cluster);
    await writer.stop();
    const result = await writer.check(cluster.node(after.primary).data.uri);
    return { ...result, gapMs: ack.at - injection.at, before, after, taker, lagMs };
  } finally {
    await writer.stop();
  }
}

let writers = 0;

/** A number for one writer, so that several may share a table. */
export function nextWriter(): number {
  writers += 1;
  return writers;
}

/** Several clients at once, as one. */
export function startWriters(count: number, hosts: readonly string[]): Writer[] {
  return Array.from({ length: count }, () => startWriter({ hosts, writer: nextWriter() }));
}
