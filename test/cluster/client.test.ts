/** The client on a cluster: it writes through failover and switchover, loses nothing, does nothing twice. */
import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import {
  createPool,
  type Heard,
  type Pool,
  type PoolOptions,
  type Primary,
} from "../../src/client/index.ts";
import { expectWithin, useCluster } from "../support/fixture.ts";
import { onPrimary, untilHealthy } from "../support/health.ts";
import { watchLag } from "../support/lag.ts";
import { rows, sqlstate, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const cluster = useCluster();
/** Bound of one sample, milliseconds: from the fault to the next acknowledged write. */
const LIMIT_MS = 2500;

function optionsOf(): PoolOptions {
  const uris = cluster()
    .dataUris()
    .map((uri) => new URL(uri));
  const [first] = uris;
  return {
    hosts: uris.map(({ hostname, port }) => `${hostname}:${port}`),
    user: first?.username ?? "postgres",
    password: decodeURIComponent(first?.password ?? ""),
    database: "postgres",
    acquireTimeoutMs: 20_000,
    retry: { maxAttempts: 20 },
  };
}

interface Load {
  readonly acknowledged: Set<number>;
  readonly unknown: Set<number>;
  readonly failed: unknown[];
  /** Monotonic milliseconds of the last acknowledgement. */
  lastAck: number;
  /** Reads that failed. */
  readonly readErrors: unknown[];
  stop(): Promise<void>;
}

let ids = 0;

/** A third of the writers alone, a third in transactions, a third with keys; and a reader that prefers standbys. */
function startLoad(pool: Pool, writers: number): Load {
  const load = {
    acknowledged: new Set<number>(),
    unknown: new Set<number>(),
    failed: [] as unknown[],
    readErrors: [] as unknown[],
    lastAck: performance.now(),
  };
  let stopping = false;
  const insert = "insert into client_rows (id) values ($1)";
  const ways = [
    (id: number) => pool.query(insert, [id]),
    (id: number) => pool.transaction((tx) => tx.query(insert, [id])),
    (id: number) => pool.query(insert, [id], { idempotencyKey: randomUUID() }),
  ];
  const write = async (way: (id: number) => Promise<unknown>) => {
    while (!stopping) {
      ids += 1;
      const id = ids;
      try {
        await way(id);
        load.acknowledged.add(id);
        load.lastAck = performance.now();
      } catch (error) {
        if ((error as { code?: string }).code === "IN_DOUBT") load.unknown.add(id);
        else load.failed.push(error);
      }
    }
  };
  const read = async () => {
    while (!stopping) {
      await pool
        .query("select count(*) from client_rows", [], { mode: "prefer-standby" })
        .catch((error: unknown) => load.readErrors.push(error));
    }
  };
  const running = ways.flatMap((way) => Array.from({ length: writers / 3 }, () => write(way)));
  const all = Promise.all([...running, read()]);
  return Object.assign(load, {
    stop: async () => {
      stopping = true;
      await all;
    },
  });
}

async function expectAllThere(load: Load): Promise<void> {
  const { primary } = await untilHealthy(cluster());
  const { uri } = cluster().node(primary).data;
  const stored = await rows<{ id: number; n: string }>(
    uri,
    "select id, count(*)::text as n from client_rows group by id",
  );
  const present = new Set(stored.map(({ id }) => id));
  expect(stored.filter(({ n }) => n !== "1")).toEqual([]);
  expect([...load.acknowledged].filter((id) => !present.has(id))).toEqual([]);
  const known = (id: number) => load.acknowledged.has(id) || load.unknown.has(id);
  expect([...present].filter((id) => !known(id))).toEqual([]);
  expect(load.failed.map(sqlstate)).toEqual([]);
}

test("twelve writers through kills and a switchover: nothing acknowledged lost, nothing twice, reads never fail", async () => {
  await untilHealthy(cluster());
  await onPrimary(cluster(), "create table client_rows (id int)");
  const pool = createPool({ ...optionsOf(), control: cluster().controlUris() });
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
  await expectAllThere(load);
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
  const pool = createPool(optionsOf());
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
