/** The order of the appends to each list, and what contradicts it without any cycle. */
import type { FinalLists, ListAnomaly, ListClass, ListTransaction, Micro } from "./lists.ts";

export type Append = Extract<Micro, { f: "append" }>;
export type Read = Extract<Micro, { f: "read" }>;

/** A list as one committed transaction read it, or as it was in the end (`by` is undefined). */
export interface Observation {
  readonly key: number;
  readonly value: readonly number[];
  readonly by: number | undefined;
}

export interface Orders {
  /** The longest reading of each list. */
  readonly of: ReadonlyMap<number, readonly number[]>;
  /** Place in the history of the transaction that appends a value; values are never used twice. */
  readonly writers: ReadonlyMap<number, number>;
  readonly observations: readonly Observation[];
}

export const isAppend = (one: Micro): one is Append => one.f === "append";
export const isRead = (one: Micro): one is Read => one.f === "read";

export function ordersOf(history: readonly ListTransaction[], final?: FinalLists): Orders {
  const writers = new Map<number, number>();
  const observations: Observation[] = [];
  for (const [place, { micros, outcome }] of history.entries()) {
    for (const one of micros) {
      if (isAppend(one)) writers.set(one.value, place);
      else if (outcome === "ok") observations.push({ ...one, value: one.value ?? [], by: place });
    }
  }
  for (const [key, value] of final ?? []) observations.push({ key, value, by: undefined });
  const of = new Map<number, readonly number[]>();
  for (const { key, value } of observations) {
    if (value.length > (of.get(key)?.length ?? -1)) of.set(key, value);
  }
  return { of, writers, observations };
}

export function orderAnomalies(
  history: readonly ListTransaction[],
  orders: Orders,
  final?: FinalLists,
): ListAnomaly[] {
  const found = [
    ...orders.observations.flatMap((one) => observed(history, orders, one)),
    ...history.flatMap((one) => (one.outcome === "ok" ? internal(one) : [])),
    ...(final === undefined ? [] : lost(history, final)),
  ];
  // A list is read again and again: what is wrong with it is told once.
  return [...new Map(found.map((one) => [`${one.class} ${one.what}`, one])).values()];
}

/** Of one reading: what nobody can have read. */
function observed(
  history: readonly ListTransaction[],
  { of, writers }: Orders,
  { key, value, by }: Observation,
): ListAnomaly[] {
  const found: ListAnomaly[] = [];
  const say = (name: ListClass, what: string) =>
    void found.push({ class: name, what: `list ${key}: ${what}` });
  const longest = of.get(key) ?? [];
  const wrong = value.findIndex((item, index) => longest[index] !== item);
  if (wrong >= 0) {
    say(
      "incompatible order",
      `read as [… ${value[wrong]}] and as [… ${longest[wrong]}] at ${wrong}`,
    );
  }
  const places = new Set<number>();
  for (const item of value) {
    if (places.has(item)) say("duplicate", `${item} stands there twice`);
    places.add(item);
    const writer = history[writers.get(item) ?? -1];
    if (
      writer === undefined ||
      !writer.micros.some((one) => isAppend(one) && one.key === key && one.value === item)
    ) {
      say("invented", `nobody appended ${item}`);
    } else if (writer.outcome === "fail") {
      say("G1a", `${item} was appended by a transaction that failed`);
    }
  }
  const last = value.at(-1);
  const writer = last === undefined ? undefined : writers.get(last);
  if (last !== undefined && writer !== undefined && writer !== by) {
    const own = history[writer]?.micros.filter(isAppend).filter((one) => one.key === key) ?? [];
    if (own.at(-1)?.value !== last)
      say("G1b", `${last} was read, and no later append of its transaction`);
  }
  return found;
}

/** Of one transaction by itself: its own appends end what it reads, and a snapshot does not move. */
function internal({ micros, isolation }: ListTransaction): ListAnomaly[] {
  const found: ListAnomaly[] = [];
  const own = new Map<number, number[]>();
  const known = new Map<number, readonly number[]>();
  for (const one of micros) {
    const mine = own.get(one.key) ?? [];
    if (isAppend(one)) {
      own.set(one.key, [...mine, one.value]);
      continue;
    }
    const { key, value = [] } = one;
    const before = known.get(key);
    const others = value.slice(0, Math.max(0, value.length - mine.length));
    const moved =
      isolation !== "read committed" && before !== undefined && `${before}` !== `${others}`;
    if (moved || `${value.slice(others.length)}` !== `${mine}`) {
      const what = `list ${key}: read [${value}] after its own [${mine}] and a first [${before ?? "none"}]`;
      found.push({ class: "internal", what });
    }
    known.set(key, before ?? others);
  }
  return found;
}

function lost(history: readonly ListTransaction[], final: FinalLists): ListAnomaly[] {
  const there = new Map([...final].map(([key, items]) => [key, new Set(items)]));
  return history
    .filter(({ outcome }) => outcome === "ok")
    .flatMap(({ micros }) => micros.filter(isAppend))
    .filter(({ key, value }) => there.get(key)?.has(value) !== true)
    .map(({ key, value }) => ({
      class: "lost append",
      what: `list ${key}: ${value} was acknowledged and is not there`,
    }));
}
