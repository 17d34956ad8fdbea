/** Who listens to a control store and does not read, on a real server whose queue of notifications grows. */
import type pg from "pg";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Clock } from "../../src/clock/clock.ts";
import { type ConnectOptions, connect } from "../../src/db/connect.ts";
import { silentLog } from "../../src/log/logger.ts";
import { ownControlStore } from "../../src/worker/control-store.ts";
import { keepNotificationsMoving } from "../../src/worker/listeners.ts";
import { until } from "../support/until.ts";
import { type TestNode, testNode } from "./node.ts";

let node: TestNode;
let store: pg.Client;
const open: pg.Client[] = [];

beforeAll(async () => {
  node = await testNode();
  await node.create();
  await node.start();
  store = await session("pg_replica worker");
}, 60_000);
afterEach(async () => {
  for (const client of open.splice(1)) await client.end().catch(() => undefined);
  await store.query("truncate node.act");
});
afterAll(async () => {
  await store.end();
  await node.close();
});

async function session(
  applicationName: string,
  more?: Partial<ConnectOptions>,
): Promise<pg.Client> {
  const options = { ...ownControlStore(node.config, applicationName), onLost: () => undefined };
  const client = await connect({ ...options, ...more });
  open.push(client);
  return client;
}

/** So many looks, half a minute apart, without waiting for any. */
async function looks(count: number): Promise<void> {
  const end = new AbortController();
  let done = 0;
  const clock = {
    now: () => done * 30_000,
    sleep: async () => {
      done += 1;
      if (done >= count) end.abort();
    },
  } as unknown as Clock;
  await keepNotificationsMoving({ store, clock, log: silentLog, signal: end.signal });
}

/** More than one percent of the queue: 90 MB. */
async function tellMuch(): Promise<void> {
  await store.query(
    "select pg_notify('much', lpad(i::text, 7900, '.')) from generate_series(1, 12000) as i",
  );
}

const usage = async () =>
  (await store.query("select pg_notification_queue_usage() as part")).rows[0].part as number;

const there = async () => {
  const { rows } = await store.query(
    "select application_name as name from pg_stat_activity where application_name ~ '^test' order by 1",
  );
  return rows.map(({ name }) => name);
};

const streamOf = (client: pg.Client) =>
  (client as unknown as { connection: { stream: { pause(): void } } }).connection.stream;

test("one that stops reading is ended once the queue has grown, and told of; who reads, or only rests, stays", async () => {
  await session("test rests");
  const reads = await session("test reads");
  await reads.query("listen much");
  const stuck = await session("test stuck");
  await stuck.query("listen much");
  streamOf(stuck).pause();
  await looks(10);
  expect(await there()).toEqual(["test reads", "test rests", "test stuck"]);

  await tellMuch();
  await until("one is stuck, and one has read all", { limitMs: 60_000 }, async () => {
    const { rows } = await store.query("select application from node.hindering(0.01)");
    return rows.length === 1 && rows[0].application === "test stuck";
  });
  expect(await usage()).toBeGreaterThan(0.01);
  await looks(3);
  expect(await there()).toEqual(["test reads", "test rests", "test stuck"]);
  await looks(4);
  await until("it is gone", { limitMs: 10_000 }, async () => (await there()).length === 2);
  expect(await there()).toEqual(["test reads", "test rests"]);
  expect(await usage()).toBeLessThan(0.01);
  expect((await store.query("select event, detail from node.act")).rows).toEqual([
    { event: "session_ended", detail: { role: "postgres", application: "test stuck" } },
  ]);
}, 120_000);

test("one whose statement has no end is ended as well", async () => {
  const sleeps = await session("test sleeps");
  await sleeps.query("listen much");
  const slept = sleeps.query("select pg_sleep(1000)").then(
    () => "woke up",
    (error: pg.DatabaseError) => error.code,
  );
  await tellMuch();
  await looks(4);
  expect(await slept).toBe("57P01");
  expect(await usage()).toBeLessThan(0.01);
}, 120_000);
