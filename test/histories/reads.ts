/**
 * Readings of a growing set, on primaries and on standbys. Each value is added once, by a transaction of its own.
 *
 * A standby may lag (H34), and may show what is lost later, as long as nobody acknowledged it. It never goes back under
 * one session, never shows an addition without one that was acknowledged before that one was asked for, and never what
 * nobody added. A primary's open gate shows, besides, nothing that is gone in the end (D14), but for commits whose wait
 * was cancelled, which stock PostgreSQL shows at once (H06); and with strict reads nothing older than what was
 * acknowledged when it was asked (H31).
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
  const gone = cancelledAndGone(history);
  return history.readings.flatMap((told): ReadAnomaly[] => {
    const reading =
      told.server === "primary" ? { ...told, shown: without(told.shown, gone) } : told;
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

/** What was added without a confirmation and is gone in the end. */
function cancelledAndGone({ adds, final }: ReadHistory): Range[] {
  const values = adds.filter(({ cancelled }) => cancelled === true).map(({ value }) => value);
  return without(rangesOf(values.toSorted((a, b) => a - b)), final);
}

function without(ranges: readonly Range[], taken: readonly Range[]): Range[] {
  return taken.reduce<Range[]>(
    (left, [from, to]) =>
      left
        .flatMap(([start, end]): Range[] => [
          [start, Math.min(end, from)],
          [Math.max(start, to), end],
        ])
        .filter(([start, end]) => start < end),
    [...ranges],
  );
}

function describe({ session, server, startedAt, endedAt }: SetReading): string {
  return `session ${session} on a ${server}, ${Math.round(startedAt)}-${Math.round(endedAt)}`;
}

/** What does not depend on the reading: there are many readings of much, so each looks at what it does not show. */
function contextOf({ adds }: ReadHistory) {
  const asked = adds.toSorted((a, b) => a.value - b.value);
  const acknowledged = asked.filter(({ outcome }) => outcome === "ok");
  const latestStart = mostOf(asked.map(({ startedAt }) => startedAt));
  const soonestEnd = mostOf(acknowledged.map(({ endedAt }) => -endedAt));
  /** When the last of them was asked for that are shown. */
  const newest = (shown: readonly Range[]) =>
    shown.reduce((at, range) => Math.max(at, latestStart(...placesIn(asked, range))), 0);
  const acknowledgedBefore = (at: number, shown: readonly Range[]) => {
    for (const range of gapsOf(shown)) {
      const [from, to] = placesIn(acknowledged, range);
      if (-soonestEnd(from, to) >= at) continue;
      return acknowledged.slice(from, to).find(({ endedAt }) => endedAt < at)?.value;
    }
    return undefined;
  };
  const possible = rangesOf(
    asked.flatMap(({ value, outcome }) => (outcome === "fail" ? [] : [value])),
  );
  return { newest, acknowledgedBefore, possible };
}

/** What stands between the ranges, before the first and after the last. */
function gapsOf(ranges: readonly Range[]): Range[] {
  const from = [Number.NEGATIVE_INFINITY, ...ranges.map(([, to]) => to)];
  const to = [...ranges.map(([from]) => from), Number.POSITIVE_INFINITY];
  return from.map((start, at) => [start, to[at] as number]);
}

/** Where the values of a range stand among these, which rise: from the first to before the second place. */
function placesIn(rising: readonly Increment[], [from, to]: Range): Range {
  return [
    firstPlace(rising, ({ value }) => value >= from),
    firstPlace(rising, ({ value }) => value >= to),
  ];
}

/** By halves: the first place from which on it holds; their number if it never does. */
function firstPlace<T>(all: readonly T[], holds: (one: T) => boolean): number {
  let [low, high] = [0, all.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(all[middle] as T)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The most of the numbers between two places; of none, less than any. Answered by a table of all powers of two. */
function mostOf(numbers: readonly number[]): (from: number, to: number) => number {
  const tables: (readonly number[])[] = [numbers];
  for (let width = 1; 2 * width <= numbers.length; width *= 2) {
    const last = tables.at(-1) as readonly number[];
    const count = numbers.length - 2 * width + 1;
    tables.push(
      Array.from({ length: count }, (_, at) =>
        Math.max(last[at] as number, last[at + width] as number),
      ),
    );
  }
  return (from, to) => {
    if (to <= from) return Number.NEGATIVE_INFINITY;
    const power = Math.floor(Math.log2(to - from));
    const table = tables[power] as readonly number[];
    return Math.max(table[from] as number, table[to - 2 ** power] as number);
  };
}

/** The first value of one that the other lacks. */
function missing(of: readonly Range[], among: readonly Range[]): number | undefined {
  for (const [from, to] of of) {
    for (let value = from; value < to; ) {
      const there = among[firstPlace(among, ([, end]) => end > value)];
      if (there === undefined || there[0] > value) return value;
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
