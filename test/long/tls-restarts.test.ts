/**
 * A client and a change stream over TLS, certificate and name checked, through a hundred restarts of the server under
 * writers: nothing acknowledged is lost, nothing is there twice, and nothing of a hundred connections stays.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { createPool } from "../../src/client/index.ts";
import { ReplicationClient } from "../../src/logical/index.ts";
import { type Bench, openBench } from "../logical/bench.ts";
import { type LabServer, serveTls } from "../replication/lab.ts";
import { heapMb, openHandles, watchWarnings } from "../support/leaks.ts";
import { until } from "../support/until.ts";

const RESTARTS = 100;
const WRITERS = 4;
const HBA = [
  "local all all trust",
  "hostssl all app 127.0.0.1/32 scram-sha-256",
  "hostnossl all all 127.0.0.1/32 reject",
  "",
].join("\n");

let bench: Bench;
let server: LabServer;
let ca = "";
beforeAll(async () => {
  bench = await openBench(undefined, {}, HBA);
  server = bench.server;
  ca = await serveTls(bench.lab, server);
  await server.sql("create role app login replication superuser password 'secret'");
}, 60_000);
afterAll(() => bench.lab.close());

async function restart(how: "fast" | "immediate"): Promise<void> {
  await server.process.stop(how, 20_000);
  const settings = { wal_level: "logical", port: server.port, max_replication_slots: 60 };
  server = await bench.lab.start(server.dir, settings, HBA);
}

test(`${RESTARTS} restarts under ${WRITERS} writers and a stream`, {
  timeout: 240_000,
}, async () => {
  const who = { user: "app", password: "secret", database: "postgres" };
  const tls = { mode: "verify-full", ca } as const;
  const pool = createPool({
    ...who,
    hosts: [`${server.host}:${server.port}`],
    tls,
    poolSize: WRITERS,
    pingIntervalMs: 200,
    acquireTimeoutMs: 20_000,
    retry: { maxAttempts: 50 },
  });
  const warnings = watchWarnings();
  const streamed = new Set<number>();
  const stream = await ReplicationClient.connect({
    ...(await bench.slot()),
    ...who,
    tls,
    channelBinding: "require",
    reconnect: { maxAttempts: 1000, baseDelayMs: 10, maxDelayMs: 100 },
  });
  const reading = stream.consume((event) => {
    if (event.kind === "insert") streamed.add(Number(event.new.id));
    if (event.kind === "commit") stream.updateAppliedLsn(event.endLsn);
  });
  const [acknowledged, unknown, failed] = [new Set<number>(), new Set<number>(), [] as unknown[]];
  let [ids, stopping] = [0, false];
  const write = async () => {
    while (!stopping) {
      ids += 1;
      const id = ids;
      try {
        await pool.query("insert into t values ($1, 'x')", [id]);
        acknowledged.add(id);
      } catch (error) {
        if ((error as { code?: string }).code === "IN_DOUBT") unknown.add(id);
        else failed.push(error);
      }
    }
  };
  const writing = Promise.all(Array.from({ length: WRITERS }, write));
  const samples: { heap: number; handles: number }[] = [];
  for (let round = 0; round < RESTARTS; round += 1) {
    const [written, read] = [acknowledged.size, streamed.size];
    await until("it writes, and the stream follows", { limitMs: 20_000, everyMs: 5 }, () => {
      return !stream.isRunning || (acknowledged.size > written + 20 && streamed.size > read + 20);
    });
    if (round === 20 || round === RESTARTS - 1)
      samples.push({ heap: heapMb(), handles: openHandles() });
    await restart(round % 2 === 0 ? "immediate" : "fast");
  }
  await until("it writes", { limitMs: 20_000 }, async () => {
    return (await pool.query("select 1", [], { retry: true })).length === 1;
  });
  stopping = true;
  await writing;
  const stored = (await server.sql("select id from t")).map(([id]) => Number(id));
  await until("the stream has all", { limitMs: 20_000 }, () => {
    return !stream.isRunning || streamed.size >= stored.length;
  });
  stream.stop();
  await reading;
  const kept = new Set(stored);
  console.log(
    `${acknowledged.size} acknowledged, ${unknown.size} in doubt, ${stream.metrics().reconnects} ` +
      `reconnects of the stream, ${JSON.stringify(samples)}`,
  );
  expect(failed).toEqual([]);
  expect([...acknowledged].filter((id) => !kept.has(id))).toEqual([]);
  expect(stored.filter((id) => !acknowledged.has(id) && !unknown.has(id))).toEqual([]);
  expect(stored.filter((id) => !streamed.has(id))).toEqual([]);
  expect([...streamed].filter((id) => !kept.has(id))).toEqual([]);
  expect(stream.metrics().reconnects).toBeGreaterThanOrEqual(RESTARTS);
  const encrypted = "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()";
  expect(await pool.query(encrypted)).toMatchObject([{ ssl: true }]);
  const [early, late] = samples;
  expect((late?.handles ?? 0) - (early?.handles ?? 0)).toBeLessThan(5);
  expect((late?.heap ?? 0) - (early?.heap ?? 0)).toBeLessThan(20); // the ids themselves are kept
  await pool.end();
  expect(warnings.stop()).toEqual([]);
});
