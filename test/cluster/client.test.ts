/** The client on a cluster: it writes through failover and switchover, loses nothing, does nothing twice. */
import { expect, test } from "vitest";
import { createPool, type Heard, type Primary } from "../../src/client/index.ts";
import { clientOptions, expectAllThere, startLoad } from "../support/client-load.ts";
import { expectWithin, useCluster } from "../support/fixture.ts";
import { onPrimary, untilHealthy } from "../support/health.ts";
import { watchLag } from "../support/lag.ts";
import { rows, sqlstate, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const cluster = useCluster();
/** Bound of one sample, milliseconds: from the fault to the next acknowledged write. */
const LIMIT_MS = 2500;

test("twelve writers through kills and a switchover: nothing acknowledged lost, nothing twice, reads never fail", async () => {
  await untilHealthy(cluster());
  await onPrimary(cluster(), "create table client_rows (id int)");
  const pool = createPool({ ...clientOptions(cluster()), control: cluster().controlUris() });
  const seen: Primary[] = [];
  pool.onPrimary((primary) => seen.push(primary));
  const heard: Heard[] = [];
  await pool.listen("client_news", (one) => heard.push(one));
  const load = startLoad(pool, 12);
  try {
    for (const how of ["kill", "switchover", "kill"] as const) {
      const before = await untilHealthy(cluster());
      const start = load.acknowledged.size;
      await until("it writes", { limitMs: 10_000 }, () => load.acknowledged.size > start + 50);
      const gaps = heard.length;
      const lag = watchLag();
      const at = performance.now();
      if (how === "kill") cluster().killDataServer(before.primary);
      else {
        const [target] = before.standbys;
        await value(
          cluster().node(before.primary).control.uri,
          "select state from pg_replica.switchover($1::integer)",
          [target],
        );
      }
      await until(
        "there is another primary",
        { limitMs: 20_000, everyMs: 2 },
        () => (seen.at(-1)?.epoch ?? 0n) > before.epoch,
      );
      const told = performance.now();
      await until("it writes again", { limitMs: 20_000, everyMs: 2 }, () => load.lastAck > told);
      expectWithin(
        `${how}: to the next acknowledged write`,
        load.lastAck - at,
        LIMIT_MS,
        lag.stop(),
        20_000,
      );
      await until("the gap is told", { limitMs: 10_000 }, () => heard.length > gaps);
      expect(heard.at(-1)).toEqual({ kind: "gap" });
    }
  } finally {
    await load.stop();
  }
  await expectAllThere(cluster(), load);
  console.log(
    `${load.acknowledged.size} acknowledged, ${load.unknown.size} in doubt, ${load.readErrors.length} reads failed`,
  );
  expect(load.readErrors.map(sqlstate)).toEqual([]);
  const epochs = seen.map(({ epoch }) => epoch);
  expect(epochs).toEqual(epochs.toSorted((a, b) => Number(a - b)));
  expect(new Set(epochs).size).toBe(epochs.length);
  const { primary, epoch } = await untilHealthy(cluster());
  expect(seen.at(-1)).toMatchObject({ port: cluster().node(primary).data.port, epoch });
  expect(pool.status()).toMatchObject({ inUse: 0, waiting: 0 });
  await pool.end();
});

test("by probing alone: a killed primary is followed all the same", async () => {
  const before = await untilHealthy(cluster());
  const pool = createPool(clientOptions(cluster()));
  const load = startLoad(pool, 3);
  try {
    await until("it writes", { limitMs: 10_000 }, () => load.acknowledged.size > 50);
    const lag = watchLag();
    const at = performance.now();
    cluster().killDataServer(before.primary);
    const isNew = async () => {
      const node = pool.topology().find(({ writable }) => writable)?.node;
      return node !== undefined && !node.endsWith(`:${cluster().node(before.primary).data.port}`);
    };
    await until("another one takes writes", { limitMs: 20_000, everyMs: 2 }, isNew);
    const found = performance.now();
    await until("it writes again", { limitMs: 20_000, everyMs: 2 }, () => load.lastAck > found);
    expectWithin(
      "kill, probing: to the next write",
      load.lastAck - at,
      LIMIT_MS,
      lag.stop(),
      20_000,
    );
  } finally {
    await load.stop();
  }
  const { primary } = await untilHealthy(cluster());
  const stored = await rows<{ id: number }>(
    cluster().node(primary).data.uri,
    "select id from client_rows",
  );
  const present = new Set(stored.map(({ id }) => id));
  expect([...load.acknowledged].filter((id) => !present.has(id))).toEqual([]);
  expect(load.readErrors.map(sqlstate)).toEqual([]);
  await pool.end();
});
