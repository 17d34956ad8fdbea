/** What goes into one append: at least one entry, then up to the limits. */
import { expect, test } from "vitest";
import type { Entry } from "../../src/db/raft.ts";
import { firstBatch } from "../../src/raft/batch.ts";

/** An entry whose body has so many bytes. */
const entry = (index: number, bytes: number): Entry => ({
  index: BigInt(index),
  term: 1n,
  kind: "entry",
  client: "00000000-0000-4000-8000-000000000001",
  sequence: BigInt(index),
  body: { data: ["é".repeat((bytes - '{"data":[""]}'.length) / 2)] },
});

test.each([
  ["all that fit", [101, 101, 101], 0, { entries: 9, bytes: 303 }, [1, 2, 3]],
  ["no more bytes than the limit", [101, 101, 101], 0, { entries: 9, bytes: 302 }, [1, 2]],
  ["no more entries than the limit", [101, 101, 101], 0, { entries: 2, bytes: 999 }, [1, 2]],
  ["one that is larger than the limit", [1001, 101], 0, { entries: 9, bytes: 500 }, [1]],
  ["a large one goes alone", [101, 1001, 101], 0, { entries: 9, bytes: 500 }, [1]],
  ["from a place on", [101, 101, 101], 1, { entries: 9, bytes: 999 }, [2, 3]],
  ["nothing behind the end", [101], 1, { entries: 9, bytes: 999 }, []],
])("%s", (_, sizes, from, limits, expected) => {
  const entries = sizes.map((bytes, position) => entry(position + 1, bytes));
  const batch = firstBatch(entries, from, limits);
  expect(batch.map(({ index }) => Number(index))).toEqual(expected);
  // Measured once, it is the same when it is sent again.
  expect(firstBatch(entries, from, limits)).toEqual(batch);
});
