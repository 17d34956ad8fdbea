/**
 * A client through failovers for as long as one likes: `SOAK_MINUTES` (2), a fault every `SOAK_EVERY_S` (15). A day is
 * `SOAK_MINUTES=1440 SOAK_EVERY_S=60 npx vitest run test/long/soak.test.ts --testTimeout=0`. Memory, sockets and
 * listeners stay level, `status()` adds up, and every increment that was acknowledged happened exactly once.
 */
import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { median } from "../../bench/stats.ts";
import { createPool, type Pool } from "../../src/client/index.ts";
import { clientOptions } from "../support/client-load.ts";
import { useCluster } from "../support/fixture.ts";
import { onPrimary, untilHealthy } from "../support/health.ts";
import { heapMb, openHandles, watchWarnings } from "../support/leaks.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const MINUTES = Number(process.env.SOAK_MINUTES ?? 2);
const EVERY_MS = Number(process.env.SOAK_EVERY_S ?? 15) * 1000;
const WRITERS = 12;
/** Between the first third of the samples and the last. */
const HEAP_GROWTH_MB = 6;
const SOCKETS_MORE = 4;

const cluster = useCluster();

/** One row each: nothing grows with time. What is known of it: between `least` and `most`. */
interface Counter {
  least: number;
  most: number;
}

interface Work {
  readonly counters: readonly Counter[];
  readonly wrong: string[];
  /** What went wrong that is no doubt, by its code. */
  readonly failed: Map<string, number>;
  acknowledged: number;
  reads: number;
  stop(): Promise<void>;
}

function startWork(pool: Pool, signal: AbortSignal): Work {
  const counters = Array.from({ length: WRITERS }, (): Counter => ({ least: 0, most: 0 }));
  const more = { counters, wrong: [] as string[], failed: new Map<string, number>() };
  const work = { ...more, acknowledged: 0, reads: 0 };
  let stopping = false;
  const count = "update soak set n = n + 1 where id = $1 returning n";
  const ways = [
    (id: number) => pool.query<{ n: number }>(count, [id], { signal, timeoutMs: 60_000 }),
    (id: number) => pool.transaction((tx) => tx.query<{ n: number }>(count, [id]), { signal }),
  ];
  const failed = (error: unknown) => {
    const code = String((error as { code?: unknown }).code ?? error);
    work.failed.set(code, (work.failed.get(code) ?? 0) + 1);
  };
  const write = async (counter: Counter, id: number) => {
    while (!stopping) {
      counter.most += 1;
      try {
        const [row] = (await ways[id % 2]?.(id)) ?? [];
        const n = row?.n ?? Number.NaN;
        const isRight = n > counter.least && n <= counter.most;
        if (!isRight) work.wrong.push(`${id}: ${n}, not ${counter.least + 1} to ${counter.most}`);
        counter.least = n;
        counter.most = n;
        work.acknowledged += 1;
      } catch (error) {
        if ((error as { code?: string }).code === "IN_DOUBT") continue;
        counter.most -= 1;
        failed(error);
      }
    }
  };
  const read = async () => {
    while (!stopping) {
      const mode = "prefer-standby";
      await pool
        .query("select sum(n) from soak", [], { mode, signal, fast: work.reads % 2 === 0 })
        .catch(failed);
      work.reads += 1;
    }
  };
  const all = Promise.all([...counters.map(write), read()]);
  return Object.assign(work, {
    stop: async () => {
      stopping = true;
      await all;
    },
  });
}

function expectStatusAddsUp(pool: Pool): void {
  const status = pool.status();
  for (const key of ["maxSize", "size", "available", "inUse"] as const) {
    expect(status.nodes.reduce((sum, node) => sum + node[key], 0)).toBe(status[key]);
  }
  for (const node of status.nodes) expect(node.available).toBeLessThanOrEqual(node.maxSize);
  expect(status.inUse).toBeLessThanOrEqual(status.maxSize);
}

async function fault(round: number): Promise<bigint> {
  const { primary, standbys, epoch } = await untilHealthy(cluster(), 120_000);
  if (round % 3 === 2) {
    const ask = "select state from pg_replica.switchover($1::integer)";
    await value(cluster().node(primary).control.uri, ask, [standbys[0]]);
  } else if (round % 3 === 1) cluster().killNode(primary);
  else cluster().killDataServer(primary);
  return epoch;
}

test(`${MINUTES} minutes, a fault every ${EVERY_MS / 1000} s`, {
  timeout: MINUTES * 60_000 + 300_000,
}, async () => {
  await untilHealthy(cluster());
  await onPrimary(cluster(), "create table soak (id int primary key, n int not null default 0)");
  await onPrimary(cluster(), `insert into soak select i from generate_series(0, ${WRITERS - 1}) i`);
  const pool = createPool({ ...clientOptions(cluster()), control: cluster().controlUris() });
  const [caller, warnings] = [new AbortController(), watchWarnings()];
  const seen = { epoch: 0n, told: 0, gaps: 0 };
  pool.onPrimary(({ epoch }) => {
    expect(epoch).toBeGreaterThan(seen.epoch);
    seen.epoch = epoch;
    seen.told += 1;
  });
  await pool.listen("soak", ({ kind }) => {
    if (kind === "gap") seen.gaps += 1;
  });
  const work = startWork(pool, caller.signal);
  const samples: { heap: number; sockets: number; listeners: number }[] = [];
  const began = performance.now();
  for (let round = 0; performance.now() - began < MINUTES * 60_000; round += 1) {
    const next = performance.now() + EVERY_MS;
    const before = await fault(round);
    await until("another primary is told", { limitMs: 60_000 }, () => seen.epoch > before);
    const at = work.acknowledged;
    await until("it writes", { limitMs: 60_000 }, () => work.acknowledged > at + 100);
    await untilHealthy(cluster(), 120_000);
    await until("it is time", { limitMs: EVERY_MS + 1000 }, () => performance.now() > next);
    expectStatusAddsUp(pool);
    const listeners = getEventListeners(caller.signal, "abort").length;
    samples.push({ heap: heapMb(), sockets: openHandles(), listeners });
  }
  await work.stop();
  const { primary } = await untilHealthy(cluster());
  const stored = await rows<{ id: number; n: number }>(
    cluster().node(primary).data.uri,
    "select id, n from soak order by id",
  );
  const third = Math.ceil(samples.length / 3);
  const growth = (of: (one: (typeof samples)[number]) => number) =>
    median(samples.slice(-third).map(of)) - median(samples.slice(0, third).map(of));
  console.log(
    `${work.acknowledged} writes, ${work.reads} reads, ${seen.told} primaries, ${seen.gaps} gaps; ` +
      `${JSON.stringify([...work.failed])}; ${JSON.stringify(samples)}`,
  );
  expect(work.wrong).toEqual([]);
  for (const [id, { least, most }] of work.counters.entries()) {
    expect(stored[id]?.n).toBeGreaterThanOrEqual(least);
    expect(stored[id]?.n).toBeLessThanOrEqual(most);
  }
  expect([...work.failed]).toEqual([]);
  expect(growth(({ heap }) => heap)).toBeLessThan(HEAP_GROWTH_MB);
  expect(growth(({ sockets }) => sockets)).toBeLessThanOrEqual(SOCKETS_MORE);
  expect(Math.max(...samples.map(({ listeners }) => listeners))).toBeLessThanOrEqual(2 * WRITERS);
  expect(pool.status()).toMatchObject({ inUse: 0, waiting: 0 });
  await pool.end();
  expect(getEventListeners(caller.signal, "abort")).toEqual([]);
  expect(warnings.stop()).toEqual([]);
});
