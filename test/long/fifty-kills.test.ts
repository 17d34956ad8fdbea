/**
 * A hundred clients, one of them a reader, through fifty kills of the primary: every acknowledged write is there, none
 * is there twice, no read fails. `ROUNDS` shortens it. What fits into the minutes of `npm test` is test/cluster/client.
 */
import { expect, test } from "vitest";
import { summarize } from "../../bench/stats.ts";
import { createPool, type Primary } from "../../src/client/index.ts";
import { clientOptions, expectAllThere, startLoad } from "../support/client-load.ts";
import { useCluster } from "../support/fixture.ts";
import { onPrimary, untilHealthy } from "../support/health.ts";
import { isOverloaded } from "../support/lag.ts";
import { sqlstate } from "../support/sql.ts";
import { until } from "../support/until.ts";

const ROUNDS = Number(process.env.ROUNDS ?? 50);
const WRITERS = 99;
/** From the news of the new primary to the next acknowledged write. */
const LIMIT_MS = 300;

const cluster = useCluster();

test(`${ROUNDS} kills under ${WRITERS} writers`, async () => {
  await untilHealthy(cluster());
  await onPrimary(cluster(), "create table client_rows (id int)");
  const pool = createPool({ ...clientOptions(cluster()), control: cluster().controlUris() });
  const seen: Primary[] = [];
  pool.onPrimary((primary) => seen.push(primary));
  const load = startLoad(pool, WRITERS);
  const toWrite: number[] = [];
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = await untilHealthy(cluster());
      const start = load.acknowledged.size;
      await until("it writes", { limitMs: 20_000 }, () => load.acknowledged.size > start + 50);
      cluster().killDataServer(before.primary);
      const isNew = () => (seen.at(-1)?.epoch ?? 0n) > before.epoch;
      await until("there is another primary", { limitMs: 30_000, everyMs: 2 }, isNew);
      const told = performance.now();
      await until("it writes again", { limitMs: 30_000, everyMs: 2 }, () => load.lastAck > told);
      toWrite.push(load.lastAck - told);
    }
  } finally {
    await load.stop();
  }
  await expectAllThere(cluster(), load);
  const { p50, max } = summarize(toWrite);
  console.log(
    `${load.acknowledged.size} acknowledged, ${load.unknown.size} in doubt; ` +
      `to the next write p50 ${p50.toFixed(0)} ms, max ${max.toFixed(0)} ms`,
  );
  expect(load.readErrors.map(sqlstate)).toEqual([]);
  if (!isOverloaded()) expect(p50).toBeLessThan(LIMIT_MS);
  expect(pool.status()).toMatchObject({ inUse: 0, waiting: 0 });
  await pool.end();
}, 850_000);
