/** Writers and a reader over a pool of the client on a cluster, and what must hold of what they wrote. */
import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import type { Pool, PoolOptions } from "../../src/client/index.ts";
import type { Cluster } from "./cluster.ts";
import { untilHealthy } from "./health.ts";
import { rows, sqlstate } from "./sql.ts";

/** Every node of the cluster, and patience. */
export function clientOptions(cluster: Pick<Cluster, "dataUris">): PoolOptions {
  const uris = cluster.dataUris().map((uri) => new URL(uri));
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

export interface Load {
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
export function startLoad(pool: Pool, writers: number): Load {
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

/** Nothing acknowledged is missing, nothing is there twice, and nothing else is there. */
export async function expectAllThere(cluster: Cluster, load: Load): Promise<void> {
  const { primary } = await untilHealthy(cluster);
  const { uri } = cluster.node(primary).data;
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
