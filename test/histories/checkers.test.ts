/** The checkers are checked: what is valid is never flagged, what was spoiled is, and why not where it is not. */
import { describe, expect, test } from "vitest";
import { Random } from "../support/random.ts";
import { ABSENT, type KeyOperation, keyAnomalies } from "./keys.ts";
import { judgeLists, type ListTransaction } from "./lists.ts";
import { logAnomalies } from "./log.ts";
import { interleavedLists, type ListRun, serialKeys, serialLists, serialLog } from "./reference.ts";
import { bankAnomalies, counterAnomalies, durableAnomalies, setAnomalies } from "./scans.ts";

const SEED = process.env.SEED ?? "1";
const VALID = 10_000;
const SPOILED = 500;
const seeds = (name: string, count: number) =>
  Array.from({ length: count }, (_, n) => new Random(`${SEED}/${name}/${n}`));
const classes = (found: readonly { readonly class: string }[]) => found.map((one) => one.class);

describe("a valid history is never flagged", () => {
  test("lists, one transaction after the other", () => {
    const found = seeds("serial", VALID).flatMap((random) => {
      const { history, final } = serialLists(random, 8);
      return judgeLists(history, final).anomalies;
    });
    expect(found).toEqual([]);
  });

  test("lists, transactions beside each other at read committed and repeatable read", () => {
    let edges = 0;
    const found = seeds("interleaved", VALID).flatMap((random) => {
      const { history, final } = interleavedLists(random, 12);
      const verdict = judgeLists(history, final);
      edges += verdict.edges.rw;
      return verdict.anomalies;
    });
    expect(found).toEqual([]);
    expect(edges).toBeGreaterThan(VALID);
  });

  test("keys", () => {
    const all = seeds("keys", VALID);
    expect(all.flatMap((random) => keyAnomalies(serialKeys(random, 20)))).toEqual([]);
  });

  test("a key with 500 calls", () => {
    for (const random of seeds("long", 20))
      expect(keyAnomalies(serialKeys(random, 500))).toEqual([]);
  });

  test("a key of whose calls most are never answered", () => {
    for (const random of seeds("doubt", 50)) {
      expect(keyAnomalies(serialKeys(random, 150, { doubt: 0.6 }))).toEqual([]);
    }
  });

  test("the log", () => {
    const found = seeds("log", VALID).flatMap((random) => {
      const { puts, finals, looks } = serialLog(random, 12);
      return logAnomalies(puts, finals, looks);
    });
    expect(found).toEqual([]);
  });
});

test("what snapshot isolation lets pass is flagged where it was to be serializable", () => {
  const found = new Set<string>();
  for (const random of seeds("interleaved", 1000)) {
    const { history, final } = interleavedLists(random, 12);
    const claimed = history.map((one) => ({ ...one, isolation: "serializable" as const }));
    for (const name of classes(judgeLists(claimed, final).anomalies)) found.add(name);
  }
  expect([...found]).toEqual(expect.arrayContaining(["G2-item", "G-single", "internal"]));
});

test("a list that a cancelled wait showed binds nobody who only read it (H06)", () => {
  const times = { process: 1, startedAt: 1, endedAt: 2, isolation: "serializable" } as const;
  const append = (value: number) => ({ f: "append", key: 1, value }) as const;
  const seen = { f: "read", key: 1, value: [1, 2] } as const;
  const judged = (cancelled: boolean, reader: ListTransaction["micros"]) =>
    classes(
      judgeLists(
        [
          { ...times, micros: [append(1)], outcome: "ok" },
          { ...times, micros: [append(2)], outcome: "unknown", cancelled },
          { ...times, micros: reader, outcome: "ok" },
          { ...times, micros: [append(3)], outcome: "ok" },
        ],
        new Map(
          reader.length > 1
            ? [
                [1, [1, 3]],
                [9, [4]],
              ]
            : [[1, [1, 3]]],
        ),
      ).anomalies,
    );
  expect(judged(true, [seen])).toEqual([]);
  expect(judged(false, [seen])).toContain("incompatible order");
  expect(judged(true, [seen, { f: "append", key: 9, value: 4 }])).toContain("incompatible order");
});

/** Change what was observed of every list; `by` is undefined for the end. */
function rewritten(
  { history, final }: ListRun,
  change: (items: readonly number[], key: number, by: ListTransaction | undefined) => number[],
): ListRun {
  const micros = (one: ListTransaction) =>
    one.micros.map((micro) =>
      micro.f === "read" && micro.value !== undefined
        ? { ...micro, value: change(micro.value, micro.key, one) }
        : micro,
    );
  return {
    history: history.map((one) => ({ ...one, micros: micros(one) })),
    final: new Map([...final].map(([key, items]) => [key, change(items, key, undefined)])),
  };
}

const acknowledged = ({ history }: ListRun) =>
  history
    .filter(({ outcome }) => outcome === "ok")
    .flatMap(({ micros }) => micros.flatMap((one) => (one.f === "append" ? [one.value] : [])));

/** The longest list, at least so long. */
function longList({ final }: ListRun, least: number): [number, number[]] | undefined {
  return [...final]
    .filter(([, items]) => items.length >= least)
    .sort((a, b) => b[1].length - a[1].length)[0];
}

/** How a list may be spoiled; undefined where there is nothing to spoil. */
const SPOILS: Readonly<Record<string, (run: ListRun, random: Random) => ListRun | undefined>> = {
  "an acknowledged append is dropped": (run, random) => {
    const all = acknowledged(run);
    if (all.length === 0) return undefined;
    const gone = random.pick(all);
    return rewritten(run, (items) => items.filter((item) => item !== gone));
  },
  "two are swapped in one reading": (run, random) => {
    const readers = run.history.filter(
      ({ outcome, micros }) =>
        outcome === "ok" && micros.some((one) => one.f === "read" && (one.value?.length ?? 0) > 1),
    );
    if (readers.length === 0) return undefined;
    const reader = random.pick(readers);
    return rewritten(run, (items, _, by) => {
      if (by !== reader || items.length < 2) return [...items];
      const [a = 0, b = 0] = items.slice(-2);
      return [...items.slice(0, -2), b, a];
    });
  },
  "one is doubled": (run, random) => {
    const [key, items] = longList(run, 1) ?? [];
    if (key === undefined || items === undefined) return undefined;
    const twice = random.pick(items);
    return rewritten(run, (all, where) =>
      where === key && all.includes(twice) ? [...all, twice] : [...all],
    );
  },
  "a tail is cut, for everybody": (run, random) => {
    const [key, items] = longList(run, 1) ?? [];
    if (key === undefined || items === undefined) return undefined;
    const most = random.int(0, items.length - 1);
    return rewritten(run, (all, where) => (where === key ? all.slice(0, most) : [...all]));
  },
};

/** Spoiled, and nobody can tell: no reading and no acknowledgement speaks against it. */
function explained(name: string, before: ListRun, after: ListRun): string | undefined {
  const kept = new Set([...after.final.values()].flat());
  const gone = [...before.final.values()].flat().filter((item) => !kept.has(item));
  const told = new Set(acknowledged(before));
  if (name.startsWith("a tail") && gone.every((item) => !told.has(item))) {
    return "only appends whose outcome was unknown are gone";
  }
  return undefined;
}

describe("a spoiled history is flagged", () => {
  for (const [name, spoil] of Object.entries(SPOILS)) {
    test(`lists: ${name}`, () => {
      let [spoiled, flagged] = [0, 0];
      const rest = new Map<string, number>();
      for (const random of seeds(name, SPOILED)) {
        const run = random.chance(0.5) ? serialLists(random, 30) : interleavedLists(random, 30);
        const bad = spoil(run, random);
        if (bad === undefined) continue;
        spoiled += 1;
        if (judgeLists(bad.history, bad.final).anomalies.length > 0) {
          flagged += 1;
          continue;
        }
        const why = explained(name, run, bad) ?? "unexplained";
        rest.set(why, (rest.get(why) ?? 0) + 1);
      }
      console.log(`${name}: ${flagged} of ${spoiled}`, Object.fromEntries(rest));
      expect(spoiled).toBeGreaterThan(SPOILED * 0.9);
      expect(rest.get("unexplained")).toBeUndefined();
      expect(flagged / spoiled).toBeGreaterThanOrEqual(0.99);
    });
  }

  test("the log: an entry is dropped, doubled, moved, or differs on one node", () => {
    for (const random of seeds("spoiled log", SPOILED)) {
      const { puts, looks, finals } = serialLog(random, 12);
      const told = puts.filter(({ index }) => index !== undefined);
      const [one, other] = random.shuffled(told.map(({ requestId }) => requestId));
      if (one === undefined || other === undefined) throw new Error("too few were acknowledged");
      const all = finals.get(1) ?? [];
      const at = all.findIndex(({ requestId }) => requestId === one);
      const entry = all[at] as (typeof all)[number];
      const everywhere = (log: typeof all) =>
        new Map([...finals.keys()].map((node) => [node, log]));
      const swapped = (requestId: string | null) =>
        requestId === one ? other : requestId === other ? one : requestId;
      const expected = {
        lost: everywhere(all.toSpliced(at, 1)),
        twice: everywhere([...all, { ...entry, index: (all.at(-1)?.index ?? 0) + 1 }]),
        elsewhere: everywhere(all.map((each) => ({ ...each, requestId: swapped(each.requestId) }))),
        "differs between nodes": new Map([...finals, [2, all.toSpliced(at, 1)]]),
      };
      for (const [name, log] of Object.entries(expected)) {
        expect(classes(logAnomalies(puts, log, looks))).toContain(name);
      }
    }
  });
});

/** Every order there is: what the search must agree with. */
function anyOrder(all: readonly KeyOperation[], before: readonly KeyOperation[] = []): boolean {
  if (all.length === 0) return keyAnomalies(oneByOne(before)).length === 0;
  const firstEnd = Math.min(...all.map(({ endedAt }) => endedAt));
  return all.some(
    (one, at) => one.startedAt <= firstEnd && anyOrder(all.toSpliced(at, 1), [...before, one]),
  );
}

const oneByOne = (all: readonly KeyOperation[]) =>
  all.map((one, at) => ({ ...one, startedAt: 10 * at, endedAt: 10 * at + 5 }));

test("keys: the search says what trying every order says, of valid and of spoiled histories", () => {
  const told = { linearizable: 0, not: 0 };
  for (const random of seeds("orders", SPOILED)) {
    const all = serialKeys(random, 6);
    const answers = all.flatMap(({ action }) =>
      action.f === "get" || action.f === "cas" ? (action.answer ?? []) : [],
    );
    const { version, value } = random.pick([ABSENT, ...answers]);
    const places = all.flatMap(({ action }, at) => (action.f === "get" ? [at] : []));
    const at = places.length === 0 ? -1 : random.pick(places);
    const spoiled = all.map((one, place) =>
      place === at ? { ...one, action: { f: "get" as const, answer: { version, value } } } : one,
    );
    const right = keyAnomalies(spoiled).length === 0;
    expect(right).toBe(anyOrder(spoiled));
    told[right ? "linearizable" : "not"] += 1;
  }
  expect(Math.min(told.linearizable, told.not)).toBeGreaterThan(SPOILED / 10);
});

test("keys: whatever is spoiled where calls do not overlap is flagged", () => {
  let [spoiled, flagged] = [0, 0];
  for (const random of seeds("stale", SPOILED)) {
    const all = serialKeys(random, 40, { reach: 4 }).filter(({ endedAt }) => endedAt < 1e6);
    // A reading long after an acknowledged put answers with what was before it.
    const at = all.findIndex(({ action }, place) => place > 20 && action.f === "get");
    const one = all[at];
    if (one?.action.f !== "get" || keyAnomalies(all).length > 0) continue;
    const stale = one.action.answer.version === 0 ? { version: 1, value: "v1" } : ABSENT;
    spoiled += 1;
    const bad = all.with(at, { ...one, action: { f: "get", answer: stale } });
    if (keyAnomalies(bad).length > 0) flagged += 1;
  }
  console.log(`keys: ${flagged} of ${spoiled}`);
  expect(spoiled).toBeGreaterThan(SPOILED / 10);
  expect(flagged / spoiled).toBeGreaterThanOrEqual(0.99);
});

test("a search that meets its own limit has decided nothing, and that counts against it", () => {
  expect(classes(keyAnomalies(serialKeys(new Random(1), 50), 10))).toEqual(["undecided"]);
});

test("sets, banks, counters, and what was seen", () => {
  const add = (value: number, outcome: "ok" | "fail" | "unknown") => ({ value, outcome });
  const adds = [add(1, "ok"), add(2, "fail"), add(3, "unknown")];
  expect(setAnomalies(adds, new Set([1]))).toEqual([]);
  expect(setAnomalies(adds, new Set([1, 3]))).toEqual([]);
  expect(classes(setAnomalies(adds, new Set([3])))).toEqual(["lost"]);
  expect(classes(setAnomalies(adds, new Set([1, 2, 9])))).toEqual(["invented", "invented"]);

  expect(
    bankAnomalies(10, [
      [5, 5],
      [0, 10],
    ]),
  ).toEqual([]);
  expect(
    classes(
      bankAnomalies(10, [
        [5, 5],
        [4, 5],
      ]),
    ),
  ).toEqual(["total differs"]);

  const times = { startedAt: 0, endedAt: 10 };
  const increments = adds.map((one) => ({ ...one, ...times }));
  const reads = (...values: number[]) =>
    counterAnomalies(
      increments,
      values.map((value) => ({ value, startedAt: 20, endedAt: 30 })),
    );
  expect(reads(1, 4)).toEqual([]);
  expect(classes(reads(0, 6))).toEqual(["out of bounds", "out of bounds"]);
  expect(counterAnomalies(increments, [{ value: 0, startedAt: 5, endedAt: 6 }])).toEqual([]);

  expect(durableAnomalies([1, 2, 1], new Set([1, 2, 3]))).toEqual([]);
  expect(classes(durableAnomalies([1, 4], new Set([1])))).toEqual(["seen and gone"]);
});
