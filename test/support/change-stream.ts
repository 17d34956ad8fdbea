/** A change stream of a cluster and writers whose acknowledgements are known: what went in must come out. */
import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { createPool, type Pool } from "../../src/client/index.ts";
import { createSlot, ReplicationClient, type ReplicationConfig } from "../../src/logical/index.ts";
import type { Cluster, ClusterView } from "./cluster.ts";
import { onPrimary, untilHealthy } from "./health.ts";
import { type Fault, inject } from "./inject.ts";
import { firstAnswer, rows, sqlstate } from "./sql.ts";
import { until } from "./until.ts";

export const SLOT = "changes";

export function addressOf(cluster: ClusterView) {
  const uris = cluster.dataUris().map((uri) => new URL(uri));
  const [first] = uris;
  return {
    hosts: uris.map(({ hostname, port }) => ({ host: hostname, port: Number(port) })),
    user: first?.username ?? "postgres",
    password: decodeURIComponent(first?.password ?? ""),
    database: "postgres",
  };
}

/** Table, publication and slot; the table of the client's keys is the cluster's own. */
export async function prepareStream(cluster: ClusterView): Promise<ReplicationConfig> {
  const { primary } = await untilHealthy(cluster);
  await onPrimary(cluster, "create table changes (writer int, n int, primary key (writer, n))");
  await onPrimary(cluster, "create publication changes for table changes");
  const version = await rows<{ major: number }>(
    cluster.node(primary).data.uri,
    "select current_setting('server_version_num')::int / 10000 as major",
  );
  const failover = (version[0]?.major ?? 0) >= 17;
  await createSlot(addressOf(cluster), { name: SLOT, failover });
  return {
    ...addressOf(cluster),
    slot: SLOT,
    publication: "changes",
    reconnect: { maxAttempts: 200, baseDelayMs: 20, maxDelayMs: 250 },
    connectTimeoutMs: 2000,
    statusIntervalMs: 1000,
    idleWakeupIntervalMs: 1000,
  };
}

interface SlotEvent extends Record<string, unknown> {
  readonly node_id: number;
  readonly slots: readonly string[];
  readonly of_epoch: string;
}

/** Every standby says that it could carry the stream on, in the epoch of now. */
export async function untilUsable(cluster: ClusterView, limitMs = 150_000): Promise<void> {
  const { standbys } = await untilHealthy(cluster);
  await until("the slot is usable on every standby", { limitMs, everyMs: 200 }, async () => {
    const told = await firstAnswer(cluster.controlUris(), (uri) =>
      rows<SlotEvent>(
        uri,
        `select distinct on (node_id) node_id, detail -> 'slots' as slots, detail ->> 'epoch' as of_epoch
           from pg_replica.events where event = 'slots_usable' order by node_id, event_id desc`,
      ),
    );
    const [{ epoch } = { epoch: "" }] = await firstAnswer(cluster.controlUris(), (uri) =>
      rows<{ epoch: string }>(uri, "select epoch::text from pg_replica.cluster()"),
    );
    return standbys.every((id) =>
      told.some((one) => one.node_id === id && one.of_epoch === epoch && one.slots.includes(SLOT)),
    );
  });
  // And every node that may lead knows it, for its choice of a candidate.
  await until("each store has heard of it", { limitMs: 20_000, everyMs: 100 }, async () => {
    const heard = await Promise.all(
      cluster
        .controlUris()
        .map((uri) =>
          rows<{ node_id: number }>(uri, "select node_id from node.observed where slots > 0"),
        ),
    );
    return heard.every((seen) => standbys.every((id) => seen.some((row) => row.node_id === id)));
  });
}

export interface Consumer {
  /** Every change in the order in which it was first handed out whole. */
  readonly seen: readonly string[];
  readonly repeated: () => number;
  readonly client: ReplicationClient;
  /** Rejects when the stream failed. */
  stop(): Promise<void>;
}

/** Takes transactions whole: rows count with their commit, and it is acknowledged then. */
export async function startConsumer(config: ReplicationConfig): Promise<Consumer> {
  const client = await ReplicationClient.connect(config);
  const known = new Set<string>();
  const seen: string[] = [];
  let open: string[] = [];
  let repeated = 0;
  const reading = client.consume((event) => {
    if (event.kind === "begin") open = [];
    else if (event.kind === "insert") open.push(`${event.new.writer}/${event.new.n}`);
    else if (event.kind === "commit") {
      for (const key of open) {
        if (known.has(key)) repeated += 1;
        else seen.push(key);
        known.add(key);
      }
      open = [];
      client.updateAppliedLsn(event.endLsn);
    }
  });
  // Whoever stops the consumer learns of it.
  reading.catch(() => undefined);
  return {
    client,
    seen,
    repeated: () => repeated,
    stop: async () => {
      client.stop();
      await reading;
    },
  };
}

export interface Load {
  readonly acknowledged: Set<string>;
  readonly unknown: Set<string>;
  readonly failed: unknown[];
  stop(): Promise<void>;
}

/** Each writer counts upwards; half of them with keys, so that no answer stays unknown. */
export function startWriters(pool: Pool, writers: number): Load {
  const load = {
    acknowledged: new Set<string>(),
    unknown: new Set<string>(),
    failed: [] as unknown[],
  };
  let stopping = false;
  const write = async (writer: number) => {
    for (let n = 0; !stopping; n++) {
      const key = `${writer}/${n}`;
      const options = writer % 2 === 0 ? { idempotencyKey: randomUUID() } : {};
      try {
        await pool.query("insert into changes (writer, n) values ($1, $2)", [writer, n], options);
        load.acknowledged.add(key);
      } catch (error) {
        if ((error as { code?: string }).code === "IN_DOUBT") load.unknown.add(key);
        else load.failed.push(error);
      }
    }
  };
  const all = Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  return Object.assign(load, {
    stop: async () => {
      stopping = true;
      await all;
    },
  });
}

export function openPool(cluster: ClusterView): Pool {
  const { hosts, ...who } = addressOf(cluster);
  return createPool({
    ...who,
    hosts: hosts.map(({ host, port }) => `${host}:${port}`),
    acquireTimeoutMs: 30_000,
    retry: { maxAttempts: 30 },
    control: cluster.controlUris(),
  });
}

/** What is stored, what was acknowledged and what came out agree; each writer's rows came out in its order. */
export async function expectWholeStream(
  cluster: ClusterView,
  load: Load,
  consumer: Consumer,
): Promise<void> {
  const { primary } = await untilHealthy(cluster);
  const stored = (
    await rows<{ key: string }>(
      cluster.node(primary).data.uri,
      "select writer || '/' || n as key from changes",
    )
  ).map(({ key }) => key);
  await until(
    "the stream has caught up",
    { limitMs: 30_000 },
    () => !consumer.client.isRunning || consumer.seen.length >= stored.length,
  );
  await consumer.stop();
  const [out, kept] = [new Set(consumer.seen), new Set(stored)];
  expect(load.failed.map(sqlstate)).toEqual([]);
  expect([...load.acknowledged].filter((key) => !kept.has(key))).toEqual([]);
  expect(stored.filter((key) => !load.acknowledged.has(key) && !load.unknown.has(key))).toEqual([]);
  expect(stored.filter((key) => !out.has(key))).toEqual([]);
  expect([...out].filter((key) => !kept.has(key))).toEqual([]);
  const last = new Map<string, number>();
  for (const key of consumer.seen) {
    const [writer = "", n = ""] = key.split("/");
    expect(Number(n)).toBeGreaterThan(last.get(writer) ?? -1);
    last.set(writer, Number(n));
  }
}

/** Writers and a consumer through one fault after the other; each only once another node could carry the stream on. */
export async function throughFaults(cluster: Cluster, faults: readonly Fault[]): Promise<void> {
  const config = await prepareStream(cluster);
  const pool = openPool(cluster);
  const consumer = await startConsumer(config);
  const load = startWriters(pool, 4);
  try {
    for (const [round, fault] of faults.entries()) {
      await until("rows come out", { limitMs: 20_000 }, () => consumer.seen.length > 20);
      const started = performance.now();
      await untilUsable(cluster);
      const usableMs = performance.now() - started;
      const before = await untilHealthy(cluster);
      const [at, timeline] = [consumer.seen.length, consumer.client.timeline];
      const injected = performance.now();
      const heal = await inject(cluster, fault, before);
      await until("another primary streams", { limitMs: 60_000, everyMs: 5 }, () => {
        if (!consumer.client.isRunning) return true;
        return consumer.client.timeline !== timeline && consumer.seen.length > at + 20;
      });
      const tookMs = performance.now() - injected;
      heal();
      if (!consumer.client.isRunning) await consumer.stop();
      console.log(
        `${round + 1}. ${fault}: changes again after ${tookMs.toFixed(0)} ms; the slot was usable everywhere after ${(usableMs / 1000).toFixed(1)} s`,
      );
    }
  } finally {
    await load.stop();
  }
  await expectWholeStream(cluster, load, consumer);
  console.log(
    `${consumer.seen.length} changes, ${consumer.repeated()} repeated, ${load.unknown.size} in doubt`,
  );
  await pool.end();
}
