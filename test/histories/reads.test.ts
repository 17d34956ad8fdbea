/** The checker of readings is checked: what is valid is never flagged, and what was spoiled is. */
import { describe, expect, test } from "vitest";
import { Random } from "../support/random.ts";
import { parseRanges, type ReadHistory, rangesOf, readAnomalies } from "./reads.ts";
import { serialReads } from "./reference.ts";

const SEED = process.env.SEED ?? "1";
const seeds = (name: string, count: number) =>
  Array.from({ length: count }, (_, n) => new Random(`${SEED}/${name}/${n}`));

test("10,000 valid histories are never flagged", () => {
  const all = seeds("reads", 10_000).map((random) => serialReads(random, 25));
  expect(all.flatMap(readAnomalies)).toEqual([]);
  const readings = all.flatMap((one) => one.readings);
  expect(readings.filter(({ server }) => server === "primary").length).toBeGreaterThan(10_000);
  // Not empty: standbys lagged, and showed what was lost.
  const dirty = all.filter(({ readings, final }) => {
    const kept = new Set(valuesOf(final));
    return readings.some(({ shown }) => valuesOf(shown).some((value) => !kept.has(value)));
  });
  expect(dirty.length).toBeGreaterThan(200);
});

const valuesOf = (ranges: ReadHistory["final"]) =>
  ranges.flatMap(([from, to]) => Array.from({ length: to - from }, (_, at) => from + at));

/** One reading is shown something else; undefined where nothing speaks of it. */
type Spoil = (history: ReadHistory, random: Random) => ReadHistory | undefined;

function respoken(
  history: ReadHistory,
  at: number,
  change: (values: number[]) => number[],
): ReadHistory {
  const one = history.readings[at];
  if (one === undefined) throw new Error(`no reading ${at}`);
  const shown = rangesOf(change(valuesOf(one.shown)).toSorted((a, b) => a - b));
  return { ...history, readings: history.readings.with(at, { ...one, shown }) };
}

const acknowledged = ({ adds }: ReadHistory) =>
  new Set(adds.flatMap(({ value, outcome }) => (outcome === "ok" ? [value] : [])));

/** A reading for which it holds, if there is one. */
function place(
  { readings }: ReadHistory,
  random: Random,
  fits: (one: ReadHistory["readings"][number]) => boolean,
): number | undefined {
  const found = readings.flatMap((one, at) => (fits(one) ? [at] : []));
  return found.length === 0 ? undefined : random.pick(found);
}

const SPOILS: Readonly<Record<string, Spoil>> = {
  "an acknowledged one is left out below a later one": (history, random) => {
    const told = acknowledged(history);
    const both = (values: number[]) => values.filter((value) => told.has(value));
    const at = place(history, random, ({ shown }) => both(valuesOf(shown)).length > 1);
    if (at === undefined) return undefined;
    return respoken(history, at, (values) => {
      const gone = both(values)[0];
      return values.filter((value) => value !== gone);
    });
  },
  "a session is shown less than before": (history, random) => {
    const { readings } = history;
    const earlier = (at: number) =>
      readings.findLast((one, n) => n < at && one.session === readings[at]?.session);
    const at = place(history, random, (one) => {
      const before = earlier(readings.indexOf(one));
      return before !== undefined && before.shown.length > 0;
    });
    if (at === undefined) return undefined;
    const last = valuesOf(earlier(at)?.shown ?? []).at(-1);
    return respoken(history, at, (values) => values.filter((value) => value !== last));
  },
  "what was refused is shown": (history, random) => {
    const refused = history.adds.filter(({ outcome }) => outcome === "fail");
    if (refused.length === 0) return undefined;
    const { value, startedAt } = random.pick(refused);
    const at = place(history, random, (one) => one.startedAt > startedAt);
    return at === undefined ? undefined : respoken(history, at, (values) => [...values, value]);
  },
  "a primary is some acknowledged ones behind": (history, random) => {
    const told = acknowledged(history);
    const at = place(history, random, ({ server, shown }) => {
      return server === "primary" && valuesOf(shown).some((value) => told.has(value));
    });
    if (at === undefined) return undefined;
    return respoken(history, at, (values) => {
      const newest = Math.max(...values.filter((value) => told.has(value)));
      return values.filter((value) => value < newest);
    });
  },
  "what an open gate showed is gone": (history, random) => {
    const at = place(
      history,
      random,
      ({ server, shown }) => server === "primary" && shown.length > 0,
    );
    const seen = at === undefined ? [] : valuesOf(history.readings[at]?.shown ?? []);
    if (seen.length === 0) return undefined;
    const gone = random.pick(seen);
    return { ...history, final: rangesOf(valuesOf(history.final).filter((one) => one !== gone)) };
  },
};

describe("a spoiled history is flagged", () => {
  for (const [name, spoil] of Object.entries(SPOILS)) {
    test(name, () => {
      const all = seeds(name, 500).flatMap((random) => {
        return spoil(serialReads(random, 25), random) ?? [];
      });
      const flagged = all.filter((one) => readAnomalies(one).length > 0).length;
      console.log(`${name}: ${flagged} of ${all.length}`);
      expect(all.length).toBeGreaterThan(400);
      expect(flagged / all.length).toBeGreaterThanOrEqual(0.99);
    });
  }
});

test("what only a cancelled wait showed may go (H06), and nothing else may", () => {
  const reading = { session: 1, server: "primary", startedAt: 3, endedAt: 4 } as const;
  const add = (value: number, outcome: "ok" | "unknown", cancelled = false) => ({
    ...{ value, outcome, cancelled },
    ...{ startedAt: 1, endedAt: 2 },
  });
  const judged = (cancelled: boolean, shown: string) =>
    readAnomalies({
      adds: [add(1, "ok"), add(2, "unknown", cancelled), add(3, "unknown")],
      readings: [{ ...reading, shown: parseRanges(shown) }],
      final: parseRanges("{[1,2)}"),
      strict: true,
    }).map(({ class: name, what }) => `${name} ${what.slice(0, 2)}`);
  expect(judged(true, "{[1,3)}")).toEqual([]);
  expect(judged(false, "{[1,3)}")).toEqual(["seen and gone 2:"]);
  expect(judged(true, "{[1,4)}")).toEqual(["seen and gone 3:"]);
  expect(judged(true, "{[2,3)}")).toEqual(["stale 1:"]);
});

test("ranges as PostgreSQL writes them", () => {
  expect(parseRanges("{[1,3),[5,6)}")).toEqual([
    [1, 3],
    [5, 6],
  ]);
  expect(parseRanges("{}")).toEqual([]);
  expect(rangesOf([1, 2, 5])).toEqual(parseRanges("{[1,3),[5,6)}"));
});
