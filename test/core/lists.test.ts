/** The linear scan over list-append histories flags each kind of fault, and no valid history. */
import { describe, expect, test } from "vitest";
import { type ListTransaction, listFaults, type Micro } from "../support/load/lists.ts";
import { Random } from "../support/random.ts";

const append = (key: number, value: number): Micro => ({ f: "append", key, value });
const read = (key: number, ...value: number[]): Micro => ({ f: "read", key, value });
const ran = (outcome: ListTransaction["outcome"], ...micros: Micro[]): ListTransaction => ({
  process: 0,
  isolation: "serializable",
  micros,
  outcome,
  startedAt: 0,
  endedAt: 1,
});
const final = (...items: number[]) => new Map([[1, items]]);

describe("list faults", () => {
  test("an acknowledged item is lost", () => {
    expect(listFaults([ran("ok", append(1, 7))], final())).toHaveLength(1);
  });
  test("a failed item is there", () => {
    expect(listFaults([ran("fail", append(1, 7))], final(7))).toHaveLength(1);
  });
  test("an item stands twice", () => {
    expect(listFaults([ran("ok", append(1, 7))], final(7, 7))).toHaveLength(1);
  });
  test("a read saw another order, or what is gone", () => {
    expect(listFaults([ran("ok", read(1, 8, 7))], final(7, 8))).toHaveLength(1);
    expect(listFaults([ran("ok", read(1, 7, 9))], final(7, 8))).toHaveLength(1);
  });
  test("unknown ones may be there or not", () => {
    expect(listFaults([ran("unknown", append(1, 7))], final(7))).toEqual([]);
    expect(listFaults([ran("unknown", append(1, 7))], final())).toEqual([]);
  });

  test("serial histories have none; one dropped item is always seen", () => {
    const random = new Random("lists");
    for (let round = 0; round < 500; round++) {
      const items: number[] = [];
      const history = Array.from({ length: 20 }, (_, index) => {
        if (random.chance(0.5)) return ran("ok", read(1, ...items));
        items.push(index);
        return ran("ok", append(1, index), read(1, ...items));
      });
      expect(listFaults(history, final(...items))).toEqual([]);
      if (items.length === 0) continue;
      const dropped = random.int(0, items.length - 1);
      const left = items.filter((_, index) => index !== dropped);
      expect(listFaults(history, final(...left))).not.toEqual([]);
    }
  });
});
