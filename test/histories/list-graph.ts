/** Which transaction must come before which, and why. */
import { isAppend, type Orders } from "./list-orders.ts";
import type { ListTransaction } from "./lists.ts";

/**
 * ww: the next append to a list · wr: it read that append · rw: it did not read that one yet · rt: it was over when the
 * other, which wrote, began.
 */
export type EdgeKind = "ww" | "wr" | "rw" | "rt";
export type Counts = Readonly<Record<EdgeKind, number>>;

export interface Edge {
  readonly from: number;
  readonly to: number;
  readonly kind: EdgeKind;
}

export interface Graph {
  /** By the place in the history of the transaction they start from. */
  readonly edges: readonly (readonly Edge[])[];
  readonly counts: Counts;
}

export function graphOf(history: readonly ListTransaction[], orders: Orders): Graph {
  const edges: Edge[][] = history.map(() => []);
  const counts = { ww: 0, wr: 0, rw: 0, rt: 0 };
  const add = (from: number | undefined, to: number | undefined, kind: EdgeKind) => {
    if (from === undefined || to === undefined || from === to) return;
    edges[from]?.push({ from, to, kind });
    counts[kind] += 1;
  };
  const writer = (item: number | undefined) =>
    item === undefined ? undefined : orders.writers.get(item);
  for (const items of orders.of.values()) {
    for (const [index, item] of items.entries()) add(writer(items[index - 1]), writer(item), "ww");
  }
  for (const { key, value, by } of orders.observations) {
    if (by === undefined) continue;
    add(writer(value.at(-1)), by, "wr");
    add(by, writer(orders.of.get(key)?.[value.length]), "rw");
  }
  for (const [from, to] of realTime(history, orders)) add(from, to, "rt");
  return { edges, counts };
}

/** From each transaction to those that began when it was over, less what follows from the others. */
function realTime(history: readonly ListTransaction[], orders: Orders): [number, number][] {
  const read = new Set([...orders.of.values()].flat().map((item) => orders.writers.get(item)));
  const events = [...history.entries()].flatMap(([place, { startedAt, endedAt, outcome }]) => {
    const begins = { at: startedAt, place, ends: false };
    if (outcome === "fail") return [];
    return outcome === "ok" ? [begins, { at: endedAt, place, ends: true }] : [begins];
  });
  // At one moment beginnings come first: whoever touches another ran beside it.
  events.sort((a, b) => (a.at === b.at ? Number(a.ends) - Number(b.ends) : a.at - b.at));
  const pairs: [number, number][] = [];
  const over = new Set<number>();
  const before = new Map<number, number[]>();
  for (const { place, ends } of events) {
    if (!ends) {
      const wrote = history[place]?.micros.some(isAppend) === true && read.has(place);
      before.set(place, wrote ? [...over] : []);
      continue;
    }
    for (const one of before.get(place) ?? []) over.delete(one);
    over.add(place);
  }
  for (const [place, all] of before) for (const one of all) pairs.push([one, place]);
  return pairs;
}
