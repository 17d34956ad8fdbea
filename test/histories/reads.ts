/**
 * Readings of a growing set, on primaries and on standbys. Each value is added once, by a transaction of its own.
 *
 * A standby may lag (H34), and may show what is lost later, as long as nobody acknowledged it. It never goes back under
 * one session, never shows an addition without one that was acknowledged before that one was asked for, and never what
 * nobody added. A primary's open gate shows, besides, nothing that is gone in the end (D14); and with strict reads
 * nothing older than what was acknowledged when it was asked (H31).
 */
import type { Increment } from "./scans.ts";

/** From the first to before the second. */
export type Range = readonly [number, number];

export interface SetReading {
  /** A connection to one server: its readings follow each other. */
  readonly session: number;
  readonly server: "primary" | "standby";
  readonly startedAt: number;
  readonly endedAt: number;
  /** Rising, apart from each other. */
  readonly shown: readonly Range[];
}

export type ReadClass = "went back" | "gap" | "invented" | "seen and gone" | "stale";

export interface ReadAnomaly {
  readonly class: ReadClass;
  readonly what: string;
}

export interface ReadHistory {
  /** `value` is what was added. */
  readonly adds: readonly Increment[];
  readonly readings: readonly SetReading[];
  readonly final: readonly Range[];
  /** Whether a primary may show the past until its lease ends. */
  readonly strict: boolean;
}

/** The first anomaly of each kind in each reading. */
export function readAnomalies(history: ReadHistory): ReadAnomaly[] {
  const context = contextOf(history);
  const before = new Map<number, SetReading>();
  return history.readings.flatMap((reading): ReadAnomaly[] => {
    const last = before.get(reading.session);
    before.set(reading.session, reading);
    const found: [ReadClass, number | undefined][] = [
      ["went back", last && missing(last.shown, reading.shown)],
      ["gap", context.acknowledgedBefore(context.newest(reading.shown), reading.shown)],
      ["invented", missing(reading.shown, context.possible)],
    ];
    if (reading.server === "primary") {
      found.push(["seen and gone", missing(reading.shown, history.final)]);
      if (history.strict) {
        found.push(["stale", context.acknowledgedBefore(reading.startedAt, reading.shown)]);
      }
    }
    return found.flatMap(([kind, value]) =>
      value === undefined ? [] : [{ class: kind, what: `${value}: ${describe(reading)}` }],
    );
  });
}

function describe({ session, server, startedAt, endedAt }: SetReading): string {
  return `session ${session} on a ${server}, ${Math.round(startedAt)}-${Math.round(endedAt)}`;
}

function contextOf({ adds }: ReadHistory) {
  const acknowledged = adds
    .filter(({ outcome }) => outcome === "ok")
    .toSorted((a, b) => a.endedAt - b.endedAt);
  const asked = adds.toSorted((a, b) => a.value - b.value);
  /** When the last of them was asked for that are shown. */
  const newest = (shown: readonly Range[]) =>
    asked.reduce((at, one) => (has(shown, one.value) ? Math.max(at, one.startedAt) : at), 0);
  const acknowledgedBefore = (at: number, shown: readonly Range[]) =>
    acknowledged.find(({ value, endedAt }) => endedAt < at && !has(shown, value))?.value;
  const possible = rangesOf(
    asked.flatMap(({ value, outcome }) => (outcome === "fail" ? [] : [value])),
  );
  return { newest, acknowledgedBefore, possible };
}

/** By halves: there are many readings of much. */
function has(ranges: readonly Range[], value: number): boolean {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const [from, to] = ranges[middle] as Range;
    if (value < from) high = middle;
    else if (value >= to) low = middle + 1;
    else return true;
  }
  return false;
}

/** The first value of one that the other lacks. */
function missing(of: readonly Range[], among: readonly Range[]): number | undefined {
  for (const [from, to] of of) {
    for (let value = from; value < to; ) {
      const there = among.find(([a, b]) => a <= value && value < b);
      if (there === undefined) return value;
      value = there[1];
    }
  }
  return undefined;
}

/** Of rising values. */
export function rangesOf(values: readonly number[]): Range[] {
  const ranges: [number, number][] = [];
  for (const value of values) {
    const last = ranges.at(-1);
    if (last?.[1] === value) last[1] = value + 1;
    else ranges.push([value, value + 1]);
  }
  return ranges;
}

/** PostgreSQL's own text of an int4multirange. */
export function parseRanges(text: string): Range[] {
  return [...text.matchAll(/\[(\d+),(\d+)\)/g)].map(([, from, to]) => [Number(from), Number(to)]);
}
