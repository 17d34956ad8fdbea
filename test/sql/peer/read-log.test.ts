/** What a leader reads of its own log for one that lags is bounded, in what it reads as in what it gives. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { append, entries, openSecond, type Second } from "./second.ts";

const COUNT = 8;
const LARGE = 900_000;
let opened: Second;

beforeAll(async () => {
  opened = await openSecond();
  // They compress well: all of them take less room than one of them says.
  await append(opened, entries(COUNT, { data: "x".repeat(LARGE) }));
}, 60_000);
afterAll(() => opened?.close());

async function indexes(from: number, count: number, bytes: number): Promise<number[]> {
  const text = `select index::integer from raft.read_log(${from}, ${count}, ${bytes})`;
  return (await opened.node.sql(text)).map(({ index }) => Number(index));
}

/** Pages looked at, those of the values' own tables too. */
async function pages(bytes: number): Promise<number> {
  const text = `explain (analyze, buffers, format json) select from raft.read_log(1, ${COUNT}, ${bytes})`;
  // A session's first call looks up more.
  const [row] = await opened.node.sql(`select from raft.read_log(1, ${COUNT}, ${bytes}); ${text}`);
  const plans = row?.["QUERY PLAN"] as { Plan: Record<string, number> }[] | undefined;
  const { "Shared Hit Blocks": hit = NaN, "Shared Read Blocks": read = NaN } =
    plans?.[0]?.Plan ?? {};
  return hit + read;
}

test("it gives one entry at least, then as many as fit", async () => {
  expect(await indexes(1, COUNT, 1)).toEqual([1]);
  expect(await indexes(3, COUNT, 3 * LARGE)).toEqual([3, 4]);
  expect(await indexes(3, COUNT, 3 * LARGE + 1000)).toEqual([3, 4, 5]);
  expect(await indexes(1, 2, COUNT * LARGE)).toEqual([1, 2]);
  expect(await indexes(COUNT, COUNT, 1)).toEqual([COUNT]);
  expect(await indexes(COUNT + 1, COUNT, 1)).toEqual([]);
});

test("what does not fit is not read, but for the first that does not", async () => {
  const all = await pages((COUNT + 1) * LARGE);
  expect(await pages(LARGE)).toBeLessThan(all / 2);
});
