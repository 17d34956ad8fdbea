/** Whatever it waits for, connecting to a host ends within connectTimeoutMs, or when the caller gives up. */
import type { Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createSlot, ReplicationClient } from "../../src/logical/index.ts";
import { openRelay } from "../support/relay.ts";
import { type Bench, collect, commits, ids, openBench } from "./bench.ts";

let bench: Bench;
beforeAll(async () => {
  bench = await openBench(undefined);
}, 60_000);
afterAll(() => bench.lab.close());

const never = () => new Promise<string>(() => undefined);
const late = { kind: "io", message: /took longer than 300 ms/, isTransient: true };

test("a password that never comes", async () => {
  const config = { ...(await bench.slot()), password: never };
  const impatient = { ...config, connectTimeoutMs: 300 };
  await expect(ReplicationClient.connect(impatient)).rejects.toMatchObject(late);
  const { slot, publication, ...place } = impatient;
  await expect(createSlot(place, { name: "x" })).rejects.toMatchObject(late);
  const stop = new AbortController();
  const patient = { ...config, connectTimeoutMs: 600_000 };
  const connecting = ReplicationClient.connect(patient, { signal: stop.signal });
  stop.abort();
  await expect(connecting).rejects.toMatchObject({ kind: "aborted" });
});

test("a password that never comes costs a reconnect one attempt", async () => {
  let asked = 0;
  let hangsAt = Number.POSITIVE_INFINITY;
  const streams: Socket[] = [];
  const wire = await openRelay(bench.server, (client) => {
    streams.push(client);
    return {};
  });
  const client = await ReplicationClient.connect({
    ...(await bench.slot()),
    port: wire.port,
    password: () => {
      asked += 1;
      return asked === hangsAt ? never() : Promise.resolve("secret");
    },
    connectTimeoutMs: 2000,
    reconnect: { maxAttempts: 1000, baseDelayMs: 2, maxDelayMs: 20 },
  });
  hangsAt = asked + 1;
  for (const stream of streams) stream.destroy();
  await bench.server.sql("insert into t values (1, 'x')");
  expect(ids(await collect(client, commits(1)))).toEqual([1]);
  expect(asked).toBeGreaterThan(hangsAt);
  await wire.close();
});

test.each([
  ["the login", "application_name"],
  ["the checks", "pg_replication_slots"],
  ["the stream", "START_REPLICATION"],
])("a server that falls silent before %s", async (_, asked) => {
  let reached = false;
  const wire = await openRelay(bench.server, (_, server) => ({
    fromClient: (chunk) => {
      reached ||= chunk.includes(asked);
      if (!reached) server.write(chunk);
    },
  }));
  const connectTimeoutMs = 2000;
  const config = { ...(await bench.slot()), port: wire.port, connectTimeoutMs };
  const started = performance.now();
  await expect(ReplicationClient.connect(config)).rejects.toMatchObject({ kind: "io" });
  expect(reached).toBe(true);
  expect(performance.now() - started).toBeLessThan(10_000);
  await wire.close();
});
