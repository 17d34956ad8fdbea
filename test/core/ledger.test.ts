/** The checker of "never two writers" finds what it must, and nothing else. */
import { describe, expect, test } from "vitest";
import { type Entry, twoWriters } from "../support/load/ledger.ts";
import { Random } from "../support/random.ts";

const entry = (node: number, epoch: number, sentAt: number, acknowledgedAt: number): Entry => ({
  node,
  epoch: BigInt(epoch),
  sentAt,
  acknowledgedAt,
});

describe("two writers", () => {
  test("one epoch on two nodes", () => {
    const found = twoWriters([entry(1, 2, 0, 1), entry(2, 2, 5, 6)]);
    expect(found.map(({ why }) => why)).toEqual(["two nodes wrote in one epoch"]);
  });

  test("an older epoch writes on after a newer one has", () => {
    const found = twoWriters([entry(1, 2, 0, 1), entry(2, 3, 5, 6), entry(1, 2, 7, 8)]);
    expect(found.map(({ why }) => why)).toEqual(["an older epoch wrote after a newer one"]);
  });

  test("a write under way while the other took over is none", () => {
    expect(twoWriters([entry(1, 2, 4, 9), entry(2, 3, 5, 6)])).toEqual([]);
  });

  test("back and forth in ever newer epochs is none", () => {
    expect(twoWriters([entry(1, 2, 0, 1), entry(2, 3, 2, 3), entry(1, 4, 4, 5)])).toEqual([]);
  });

  test("random valid histories pass; with one late write of an old epoch they do not", () => {
    const random = new Random("ledger");
    for (let round = 0; round < 2000; round++) {
      const entries: Entry[] = [];
      let at = 0;
      for (let epoch = 1; epoch <= random.int(2, 6); epoch++) {
        const node = random.int(1, 3);
        for (let write = random.int(1, 5); write > 0; write--) {
          const sent = at + random.int(0, 3);
          at = sent + random.int(1, 4);
          entries.push(entry(node, epoch, sent, at));
        }
      }
      expect(twoWriters(random.shuffled(entries))).toEqual([]);
      const old = entries[0];
      if (old === undefined || entries.at(-1)?.epoch === old.epoch) continue;
      const late = { ...old, sentAt: at + 1, acknowledgedAt: at + 2 };
      expect(twoWriters(random.shuffled([...entries, late]))).not.toEqual([]);
    }
  });
});
