/** A thousand times opened and closed, a client and a stream leave nothing: no socket, timer, listener, or memory. */
import { getEventListeners } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createPool } from "../../src/client/index.ts";
import { ReplicationClient } from "../../src/logical/index.ts";
import { type Bench, openBench } from "../logical/bench.ts";
import { heapMb, openHandles, watchWarnings } from "../support/leaks.ts";
import { until } from "../support/until.ts";

const CYCLES = 1000;
/** Of a thousand cycles: 4 kB each would be seen. */
const GROWTH_MB = 4;

let bench: Bench;
beforeAll(async () => {
  bench = await openBench(undefined);
}, 60_000);
afterAll(() => bench.lab.close());

/** The first cycles fill caches of the runtime, and do not count. */
async function expectNothingLeft(one: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const warnings = watchWarnings();
  const caller = new AbortController();
  for (let cycle = 0; cycle < 100; cycle += 1) await one(caller.signal);
  const before = { heap: heapMb(), handles: openHandles({ timers: true }) };
  for (let cycle = 0; cycle < CYCLES; cycle += 1) await one(caller.signal);
  expect(getEventListeners(caller.signal, "abort")).toEqual([]);
  await until("sockets and timers are gone", { limitMs: 3000 }, () => {
    return openHandles({ timers: true }) <= before.handles + 1;
  });
  const growth = heapMb() - before.heap;
  console.log(`${CYCLES} cycles: the heap grew by ${growth.toFixed(2)} MB`);
  expect(growth).toBeLessThan(GROWTH_MB);
  expect(warnings.stop()).toEqual([]);
  await until("the server has no session left", { limitMs: 5000 }, async () => {
    const left = "select count(*) from pg_stat_activity where application_name = 'pg-replica'";
    return (await bench.server.value(left)) === "0";
  });
}

test(`${CYCLES} pools: created, used, ended`, { timeout: 120_000 }, async () => {
  const { host, port, user } = bench.server;
  await expectNothingLeft(async (signal) => {
    const pool = createPool({ hosts: [`${host}:${port}`], user, database: "postgres" });
    const stop = pool.onPrimary(() => undefined);
    expect(await pool.query("select 1 as v", [], { signal, timeoutMs: 5000 })).toEqual([{ v: 1 }]);
    await pool.transaction((tx) => tx.query("select 2"), { signal });
    stop();
    await pool.end();
  });
});

test(`${CYCLES} listeners on one pool: subscribed, heard, left`, { timeout: 120_000 }, async () => {
  const { host, port, user } = bench.server;
  const pool = createPool({ hosts: [`${host}:${port}`], user, database: "postgres", poolSize: 2 });
  const left = "select count(*) from pg_stat_activity where query = 'listen \"news\"'";
  try {
    for (let cycle = 0; cycle < CYCLES; cycle += 1) {
      const stop = new AbortController();
      const heard: unknown[] = [];
      await pool.listen("news", (one) => heard.push(one), { signal: stop.signal });
      await pool.query("select pg_notify('news', 'x')");
      await until("it is heard", { limitMs: 2000, everyMs: 1 }, () => heard.length > 0);
      stop.abort();
    }
    await until("nobody listens", { limitMs: 5000 }, async () => {
      return (await bench.server.value(left)) === "0";
    });
    expect(pool.status()).toMatchObject({ inUse: 0, waiting: 0 });
  } finally {
    await pool.end();
  }
});

test(`${CYCLES} streams: connected, stopped`, { timeout: 120_000 }, async () => {
  const config = await bench.slot();
  await expectNothingLeft(async (signal) => {
    const client = await ReplicationClient.connect(config, { signal });
    const next = client.recv({ signal }).catch(() => null);
    client.stop();
    for (let event = await next; event !== null; ) event = await client.recv({ signal });
    await client.shutdown();
  });
  expect(await bench.isActive(config)).toBe(false);
});
