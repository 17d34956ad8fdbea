/** A change stream goes on after kills and switchovers: nothing missing, nothing that never happened, order kept. */
import { expect, test } from "vitest";
import {
  expectWholeStream,
  openPool,
  prepareStream,
  startConsumer,
  startWriters,
  untilUsable,
} from "../support/change-stream.ts";
import { useCluster } from "../support/fixture.ts";
import { untilHealthy } from "../support/health.ts";
import { value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const cluster = useCluster({ env: { PG_REPLICA_DATA_LOGICAL: "true" } });

test("a writer and a consumer through kill, switchover and kill", async () => {
  const config = await prepareStream(cluster());
  const pool = openPool(cluster());
  const consumer = await startConsumer(config);
  const load = startWriters(pool, 4);
  try {
    for (const how of ["kill", "switchover", "kill"] as const) {
      await until("rows come out", { limitMs: 10_000 }, () => consumer.seen.length > 20);
      const started = performance.now();
      await untilUsable(cluster());
      const before = await untilHealthy(cluster());
      console.log(`usable after ${((performance.now() - started) / 1000).toFixed(1)} s`);
      const [at, timeline] = [consumer.seen.length, consumer.client.timeline];
      const fault = performance.now();
      if (how === "kill") cluster().killDataServer(before.primary);
      else {
        const [target] = before.standbys;
        const { uri } = cluster().node(before.primary).control;
        const ask = "select state from pg_replica.switchover($1::integer)";
        expect(await value(uri, ask, [target])).toBe("done");
      }
      await until("another primary streams", { limitMs: 30_000 }, () => {
        if (!consumer.client.isRunning) return true;
        return consumer.client.timeline !== timeline && consumer.seen.length > at + 20;
      });
      console.log(`${how}: changes again after ${(performance.now() - fault).toFixed(0)} ms`);
      if (!consumer.client.isRunning) await consumer.stop();
    }
  } finally {
    await load.stop();
  }
  await expectWholeStream(cluster(), load, consumer);
  console.log(
    `${consumer.seen.length} changes, ${consumer.repeated()} repeated, ${load.unknown.size} in doubt`,
  );
  await pool.end();
}, 300_000);
