/** What a linear scan can tell: sets, banks, counters, and that what was seen stays. */
import type { Interval } from "./linearizable.ts";

export type Outcome = "ok" | "fail" | "unknown";

export interface Add {
  readonly value: number;
  readonly outcome: Outcome;
  /** Its wait for confirmation was cancelled: from then on its primary shows it, and need not keep it (H06). */
  readonly cancelled?: boolean;
}

export interface Scanned {
  readonly class: "lost" | "invented" | "total differs" | "out of bounds" | "seen and gone";
  readonly what: string;
}

/** A set that is read once, in the end (D1, D2). */
export function setAnomalies(adds: readonly Add[], final: ReadonlySet<number>): Scanned[] {
  const possible = new Set(
    adds.flatMap(({ value, outcome }) => (outcome === "fail" ? [] : [value])),
  );
  const missing = adds.filter(({ value, outcome }) => outcome === "ok" && !final.has(value));
  return [
    ...missing.map(({ value }): Scanned => ({ class: "lost", what: `${value}` })),
    ...[...final]
      .filter((value) => !possible.has(value))
      .map((value): Scanned => ({ class: "invented", what: `${value}` })),
  ];
}

/** Accounts between which money only moves: each reading of all of them has the same sum. */
export function bankAnomalies(total: number, readings: readonly (readonly number[])[]): Scanned[] {
  return readings.flatMap((accounts): Scanned[] => {
    const sum = accounts.reduce((all, one) => all + one, 0);
    if (sum === total) return [];
    return [{ class: "total differs", what: `[${accounts}] is ${sum}, not ${total}` }];
  });
}

/** An amount above 0 that is added to a counter. */
export interface Increment extends Interval, Add {}

export interface CounterReading extends Interval {
  readonly value: number;
}

/** What is read is at least what was acknowledged before, and at most what was ever asked for until then. */
export function counterAnomalies(
  increments: readonly Increment[],
  readings: readonly CounterReading[],
): Scanned[] {
  return readings.flatMap(({ value, startedAt, endedAt }): Scanned[] => {
    const sum = (which: (one: Increment) => boolean) =>
      increments.filter(which).reduce((all, one) => all + one.value, 0);
    const least = sum((one) => one.outcome === "ok" && one.endedAt < startedAt);
    const most = sum((one) => one.outcome !== "fail" && one.startedAt <= endedAt);
    if (least <= value && value <= most) return [];
    return [{ class: "out of bounds", what: `${value} was read, of ${least} to ${most}` }];
  });
}

/** What anybody was shown through an open gate is there in the end (D14). */
export function durableAnomalies(seen: Iterable<number>, final: ReadonlySet<number>): Scanned[] {
  return [...new Set(seen)]
    .filter((value) => !final.has(value))
    .map((value) => ({ class: "seen and gone", what: `${value}` }));
}
