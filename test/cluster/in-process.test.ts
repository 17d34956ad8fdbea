/** A program that runs a node's worker itself puts into the log what SQL callers could, and gets the same promise. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NotLeader, UnknownOutcome } from "../../src/index.ts";
import { type InProcess, startInProcess } from "../support/in-process.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

let here: InProcess;
let alone: unknown;

beforeAll(async () => {
  here = await startInProcess(async (worker) => {
    alone = await worker.replicate("too early").catch((error: unknown) => error);
  });
}, 240_000);
afterAll(() => here?.close(), 60_000);

const uri = (id: number) => here.all.node(id).control.uri;
const from = (id: number, index: bigint) =>
  rows(uri(id), "select index::text, item, data from pg_replica.entries($1) limit 3", [
    String(index - 1n),
  ]);

test("who leads alone proposes nothing", () => {
  expect(alone).toBeInstanceOf(NotLeader);
});

test("an entry is there when it is told so, and on every node soon", async () => {
  const { index, item } = await here.worker.replicate("ü");
  expect(item).toBe(1);
  expect((await from(1, index))[0]).toEqual({ index: String(index), item: 1, data: "ü" });
  await until("the others have it", { limitMs: 5000 }, async () => {
    const read = await Promise.all([2, 3].map((id) => from(id, index)));
    return read.every((found) => found[0]?.data === "ü");
  });
});

test("a batch is one entry", async () => {
  const { index } = await here.worker.replicate(["a", "b"]);
  const data = (await from(1, index)).map((row) => row.data);
  expect(data).toEqual(["a", "b"]);
});

test("many at once keep their order, each at its own place", { timeout: 60_000 }, async () => {
  const { index: before } = await here.worker.replicate("before them");
  const texts = Array.from({ length: 3000 }, (_, at) => `many ${at}`);
  const places = await Promise.all(
    texts.map((text, at) => {
      // Among those that share an entry, some that have one of their own.
      if (at % 100 === 50) return here.worker.replicate([text]);
      return here.worker.replicate(text, at % 100 === 70 ? { requestId: randomUUID() } : {});
    }),
  );
  expect(new Set(places.map(({ index }) => index)).size).toBeLessThan(300);
  const text = `select e.index::text, e.item, e.data from cluster.entry as e
                 where e.index > $1 order by e.index, e.item`;
  const found = await rows(uri(1), text, [String(before)]);
  const told = places.map(({ index, item }, at) => ({
    index: String(index),
    item,
    data: texts[at],
  }));
  expect(found).toEqual(told);
});

test("the same request_id commits once, in the program and in SQL (H60)", async () => {
  const requestId = `once ${randomUUID()}`;
  const [first, second] = await Promise.all([
    here.worker.replicate("once", { requestId }),
    here.worker.replicate("once", { requestId }),
  ]);
  expect(second).toEqual(first);
  const text = "select pg_replica.replicate('once', $1) as index";
  expect(String(await value(uri(1), text, [requestId]))).toBe(String(first.index));
});

test.each([
  ["no items", [], /^data: no items: /],
  ["too many items", Array(10_001).fill(""), /^data: 10001 items: /],
  ["a NUL", "a\0b", /^data: a NUL/],
  ["half a character", "\ud800", /^data: a NUL or half a character/],
  ["too much", "x".repeat(1_048_577), /^data: 1048577 bytes: /],
  ["too much together", Array(3).fill("x".repeat(400_000)), /^data: 1200000 bytes: /],
])("%s is refused before anything is proposed", async (_, data, why) => {
  await expect(here.worker.replicate(data)).rejects.toThrow(why);
});

test("a name that is none is refused", async () => {
  const name = here.worker.replicate("x", { requestId: "" });
  await expect(name).rejects.toThrow(/^requestId: 0 bytes: /);
});

test("more than anybody awaits are refused", { timeout: 60_000 }, async () => {
  const all = Array.from({ length: 4200 }, () => here.worker.replicate(""));
  const refused = (await Promise.allSettled(all)).filter(({ status }) => status === "rejected");
  expect(refused).toHaveLength(4200 - 4096);
});

test("as the worker ends it is told what is in the log, what is not, and what is unknown", {
  timeout: 60_000,
}, async () => {
  const texts = Array.from({ length: 2000 }, (_, at) => `last ${at}`);
  const calls = texts.map((text) => here.worker.replicate(text));
  const stopped = here.worker.stop();
  const ended = await Promise.allSettled(calls);
  await stopped;
  const told = (fate: (one: PromiseSettledResult<unknown>) => boolean) =>
    texts.filter((_, at) => fate(ended[at] as PromiseSettledResult<unknown>));
  const because =
    (kind: typeof NotLeader | typeof UnknownOutcome) => (one: PromiseSettledResult<unknown>) =>
      one.status === "rejected" && one.reason instanceof kind;
  const inLog = told(({ status }) => status === "fulfilled");
  const notInLog = told(because(NotLeader));
  expect(inLog.length + notInLog.length + told(because(UnknownOutcome)).length).toBe(2000);
  const read = async () => {
    const text = "select data from cluster.entry where data like 'last %'";
    return new Set((await rows<{ data: string }>(uri(2), text)).map(({ data }) => data));
  };
  await until("the next leader's log has what was acknowledged", { limitMs: 20_000 }, async () => {
    const found = await read();
    return inLog.every((text) => found.has(text));
  });
  const found = await read();
  expect(notInLog.filter((text) => found.has(text))).toEqual([]);
  await expect(here.worker.replicate("later")).rejects.toBeInstanceOf(NotLeader);
});
