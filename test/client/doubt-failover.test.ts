import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createPool, OUTCOME_DDL, type Pool } from "../../src/client/index.ts";
import { until } from "../support/until.ts";
import { type LossyProxy, openProxy } from "./proxy.ts";
import { openServers, type Servers } from "./servers.ts";

let servers: Servers;
let proxy: LossyProxy;
let pool: Pool;

beforeEach(async () => {
  servers = await openServers(1);
  const [primary] = servers.all;
  if (primary === undefined) throw new Error("no primary");
  await primary.sql("create table t (id int, by text)");
  await primary.sql(OUTCOME_DDL);
  proxy = await openProxy(primary);
  pool = createPool({
    ...servers.options,
    hosts: [`127.0.0.1:${proxy.port}`, servers.name(1)],
    tls: { mode: "disable" },
    acquireTimeoutMs: 20_000,
  });
  await pool.query("select 1");
});
afterEach(async () => {
  await pool.end({ timeoutMs: 500 });
  await proxy.close();
  await servers.close();
});

const write = (idempotencyKey?: string) =>
  pool.queryResult("insert into t values (1, 'x') returning id", [], {
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  });
const rowsOnTheNewOne = () => servers.all[1]?.value("select count(*) from t");

test("the answer is lost with the primary, the commit had reached the standby: found there, not done twice", async () => {
  proxy.lose("answer", "commit\0", "refuse");
  const done = write(randomUUID());
  await until("the answer is lost", { limitMs: 5000, everyMs: 1 }, () => proxy.losses === 1);
  await until(
    "it is on the standby",
    { limitMs: 5000, everyMs: 5 },
    async () => (await rowsOnTheNewOne()) === "1",
  );
  await proxy.close();
  await servers.kill(0);
  await servers.promote(1);
  expect(await done).toMatchObject({ resolved: true, node: expect.any(String) });
  expect(await rowsOnTheNewOne()).toBe("1");
});

test("the commit is lost with the primary, and its xid used again by the new one: not taken for committed", async () => {
  const [primary] = servers.all;
  const before = Number(await primary?.value("select pg_current_xact_id()::text::bigint"));
  await servers.cutOff(1);
  proxy.lose("answer", "commit\0", "refuse");
  const done = write(randomUUID());
  await until("the answer is lost", { limitMs: 5000, everyMs: 1 }, () => proxy.losses === 1);
  await proxy.close();
  await servers.kill(0);
  await servers.promote(1);
  const result = await done;
  expect(result).toMatchObject({ resolved: false, rows: [{ id: 1 }], node: servers.name(1) });
  expect(await rowsOnTheNewOne()).toBe("1");
  const after = Number(await servers.all[1]?.value("select pg_current_xact_id()::text::bigint"));
  expect(after).toBeGreaterThan(before);
});

test("without a key a failover in doubt stays in doubt", async () => {
  proxy.lose("answer", "insert into t", "refuse");
  const done = write();
  await expect(done).rejects.toMatchObject({ code: "IN_DOUBT" });
  await proxy.close();
  await servers.kill(0);
  await servers.promote(1);
  expect((await pool.queryResult("select 1")).node).toBe(servers.name(1));
});
