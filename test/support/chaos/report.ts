/** What a chaos run says at its end: counts, gaps, and every reason why it failed or proves nothing. */
import { histogram, summarize } from "../../../bench/stats.ts";
import type { Fault } from "../faults/fault.ts";
import type { BankVerdict } from "../load/bank.ts";
import type { ServiceVerdict } from "../load/judge-service.ts";
import type { Verdict } from "../load/load.ts";
import type { ReadingsVerdict } from "../load/readings.ts";
import type { Counts } from "../load/service.ts";
import { CONVERGENCE_MS, type Window } from "./window.ts";

export interface FaultCount {
  readonly id: string;
  readonly name: string;
  readonly injected: number;
}

export interface ChaosReport {
  readonly seed: number;
  readonly minutes: number;
  readonly nodes: number;
  readonly network: string;
  readonly host: string;
  readonly faults: readonly FaultCount[];
  readonly skipped: readonly { readonly id: string; readonly name: string; readonly why: string }[];
  readonly windows: readonly WindowReport[];
  readonly failovers: number;
  /** The primary was replaced though nothing that was done touches it (D16). */
  readonly spurious: readonly string[];
  readonly verdict: Verdict | undefined;
  /** D10. */
  readonly differences: readonly string[];
  /** Writes acknowledged of those attempted while nothing was wrong. */
  readonly quiet: { readonly attempted: number; readonly acknowledged: number };
  /** A promise was broken, or the cluster did not come together: exit 1. */
  readonly failures: readonly string[];
  /** The run proves nothing: exit 2. */
  readonly invalid: readonly string[];
}

export interface WindowReport {
  readonly faults: readonly string[];
  readonly gapMs: number;
  readonly convergedMs: number;
  readonly failovers: number;
  readonly lagMs: number;
  readonly overloaded: boolean;
}

export function reportOf(window: Window): WindowReport {
  return {
    faults: window.injected.map(({ fault }) => `${fault.id} ${fault.name}`),
    gapMs: Math.round(window.gapMs),
    convergedMs: Math.round(window.convergedMs),
    failovers: Number(window.after.epoch - window.before.epoch),
    lagMs: Math.round(window.lagMs),
    overloaded: window.overloaded,
  };
}

/** Everything for people. */
export function describeReport(report: ChaosReport): string {
  const { verdict, quiet } = report;
  const lines = [
    "",
    `seed ${report.seed}, ${report.nodes} nodes, network of ${report.network}, ${report.host}`,
    "",
    "fault                                                             injected",
    ...report.faults.map(
      ({ id, name, injected }) => `${id} ${name.padEnd(64)} ${`${injected}`.padStart(5)}`,
    ),
    ...report.skipped.map(({ id, name, why }) => `${id} ${name}: skipped (capability): ${why}`),
    "",
    ...gaps(report.windows),
    "",
    ...(verdict === undefined ? ["no verdict: the run broke off"] : counts(verdict)),
    `failovers         ${report.failovers}`,
    `spurious          ${report.spurious.length}`,
    `quiet periods     ${quiet.acknowledged} of ${quiet.attempted} writes acknowledged`,
    ...list("spurious", report.spurious),
    ...list("data differ", report.differences),
    ...list("INVALID", report.invalid),
    ...list("FAILED", report.failures),
  ];
  return lines.join("\n");
}

function gaps(windows: readonly WindowReport[]): string[] {
  if (windows.length === 0) return ["no faults were injected"];
  const of = (name: string, values: readonly number[]) => {
    const { n, p50, p99, max } = summarize(values);
    const numbers = `p50 ${p50.toFixed(0)}, p99 ${p99.toFixed(0)}, max ${max.toFixed(0)} ms`;
    return `${name}, n = ${n}: ${numbers}${n < 100 ? " (p99 is the maximum: claim none)" : ""}`;
  };
  const slow = windows.filter(({ overloaded }) => overloaded).length;
  const writes = windows.map(({ gapMs }) => gapMs);
  return [
    of("longest gap between acknowledged writes", writes),
    ...histogram(writes),
    of(
      "convergence after healing",
      windows.map(({ convergedMs }) => convergedMs),
    ),
    ...(slow === 0
      ? []
      : [`${slow} of ${windows.length} on an overloaded machine: no time of theirs counts`]),
  ];
}

function counts(verdict: Verdict): string[] {
  const samples = Object.entries(verdict.samples).map(([node, count]) => `node ${node}: ${count}`);
  const { transactions, listAnomalies, listEdges, service, bank, readings } = verdict;
  const { ok, fail, unknown } = transactions;
  const { ww, wr, rw, rt } = listEdges;
  return [
    `acknowledged      ${verdict.acknowledged} of ${verdict.attempted}`,
    `unknown           ${verdict.unknown}`,
    `refused           ${verdict.refused}`,
    `lost              ${verdict.lost.length}`,
    `invented          ${verdict.invented.length}`,
    `transactions      ${ok} ok, ${fail} failed, ${unknown} unknown; anomalies: ${listAnomalies.length}`,
    `order of lists    ${ww} ww, ${wr} wr, ${rw} rw, ${rt} in real time`,
    ...(service === undefined ? [] : servedCounts(service)),
    ...(bank === undefined ? [] : movedCounts(bank)),
    ...(readings === undefined ? [] : readCounts(readings)),
    `two writers       ${verdict.twoWriters.length} (tries: ${samples.join(", ")})`,
  ];
}

function servedCounts({ counts, keys, entries, looks, anomalies }: ServiceVerdict): string[] {
  const of = ({ ok, fail, unknown }: Counts) => `${ok} ok, ${fail} failed, ${unknown} unknown`;
  return [
    `calls on ${keys} keys`.padEnd(18) + of(counts.keys),
    `replicated        ${of(counts.log)}; ${entries} entries, ${looks} looks`,
    `service anomalies ${anomalies.length}`,
  ];
}

function movedCounts({ moved, readings, different, anomalies }: BankVerdict): string[] {
  const { ok, fail, unknown } = moved;
  const read = `${readings} sums of ${different} states; anomalies: ${anomalies.length}`;
  return [`transfers         ${ok} ok, ${fail} failed, ${unknown} unknown; ${read}`];
}

function readCounts({ added, primary, standby, anomalies }: ReadingsVerdict): string[] {
  const { ok, fail, unknown } = added;
  const read = `read on primaries ${primary}, on standbys ${standby} times; anomalies: ${anomalies.length}`;
  return [`values added      ${ok} ok, ${fail} failed, ${unknown} unknown; ${read}`];
}

function list(head: string, lines: readonly string[]): string[] {
  const some = lines.slice(0, 20).map((line) => `${head}: ${line}`);
  return lines.length > 20 ? [...some, `${head}: and ${lines.length - 20} more`] : some;
}

type Kind = Fault["failover"];

/** Nothing that was done touches the primary, and it was replaced all the same (D16). */
export function isSpurious(kinds: readonly Kind[], failovers: number): boolean {
  return failovers > 0 && kinds.every((kind) => kind === "never");
}

/** A loss of the primary is over by then: who is held down (H47) is replaced after ten seconds without a write. */
const LONGEST_GAP_MS = 15_000;

/** What took too long; a machine that is overloaded is not judged by its clock. */
export function tooLate(
  kinds: readonly Kind[],
  { convergedMs, gapMs, overloaded }: Pick<WindowReport, "convergedMs" | "gapMs" | "overloaded">,
): string[] {
  if (overloaded) return [];
  const alone = kinds.length === 1 && kinds[0] === "must";
  return [
    ...(convergedMs > CONVERGENCE_MS ? [`whole after ${convergedMs} ms`] : []),
    ...(alone && gapMs > LONGEST_GAP_MS ? [`no write for ${gapMs} ms`] : []),
  ];
}

/** What broke a promise. */
export function brokenPromises(verdict: Verdict, differences: readonly string[]): string[] {
  const { lost, invented, twoWriters, listAnomalies, service, bank, readings } = verdict;
  const entry = ({ node, epoch }: { node: number; epoch: bigint }) =>
    `node ${node}, epoch ${epoch}`;
  return [
    ...lost.map((row) => `an acknowledged row is lost: ${row}`),
    ...invented.map((row) => `a row came from nowhere: ${row}`),
    ...twoWriters.map(
      ({ why, first, second }) => `two writers: ${why}: ${entry(first)}; ${entry(second)}`,
    ),
    ...listAnomalies.map((one) => `lists: ${one.class}: ${one.what}`),
    ...(service?.anomalies ?? []).map((one) => `service: ${one.class}: ${one.what}`),
    ...(bank?.anomalies ?? []).map((one) => `accounts: ${one.class}: ${one.what}`),
    ...(readings?.anomalies ?? []).map((one) => `readings: ${one.class}: ${one.what}`),
    ...differences.map((one) => `data differ at rest: ${one}`),
  ];
}

/** What makes a run prove nothing (vacuity guards). */
export function vacuous(report: Pick<ChaosReport, "quiet" | "verdict" | "windows">): string[] {
  const { quiet, verdict, windows } = report;
  const found: string[] = [];
  if (windows.length === 0) found.push("no fault was injected");
  if (quiet.attempted === 0) found.push("nothing was attempted in quiet periods");
  else if (quiet.acknowledged < quiet.attempted / 2) {
    found.push(
      `${quiet.acknowledged} of ${quiet.attempted} writes were acknowledged in quiet periods`,
    );
  }
  for (const [node, tries] of Object.entries(verdict?.samples ?? {})) {
    if (tries < 5) found.push(`the probe of node ${node} has ${tries} samples`);
  }
  if (verdict !== undefined) {
    const { transactions, listEdges, service, bank, readings } = verdict;
    if (transactions.ok < MANY) found.push(`${transactions.ok} transactions on lists`);
    if (Math.min(...Object.values(listEdges)) < MANY) found.push("the lists have no order");
    if (service !== undefined && Math.min(service.counts.keys.ok, service.counts.log.ok) < MANY) {
      found.push(`${service.counts.keys.ok} calls on keys, ${service.counts.log.ok} on the log`);
    }
    if (bank !== undefined && Math.min(bank.moved.ok, bank.different) < MANY) {
      found.push(`${bank.moved.ok} transfers, ${bank.different} different states of the accounts`);
    }
    if (readings !== undefined) {
      const { added, primary, standby } = readings;
      if (Math.min(added.ok, primary, standby) < MANY) {
        found.push(
          `${added.ok} values, read ${primary} times on primaries, ${standby} on standbys`,
        );
      }
    }
  }
  return found;
}

/** Fewer than so many of anything are none. */
const MANY = 50;
