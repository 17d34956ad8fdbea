import { afterEach, expect, test } from "vitest";
import { createPool, type Pool, type PoolOptions } from "../../src/client/index.ts";
import { until } from "../support/until.ts";
import { openServers, type Servers } from "./servers.ts";

let servers: Servers | undefined;
let pool: Pool | undefined;
afterEach(async () => {
  await pool?.end({ timeoutMs: 500 });
  await servers?.close();
  pool = undefined;
  servers = undefined;
});

async function open(standbys: number, more: Partial<PoolOptions> = {}) {
  servers = await openServers(standbys);
  await servers.all[0]?.sql("create table t (id int primary key, v text)");
  pool = createPool({ ...servers.options, ...more });
  return { servers, pool };
}

test("writes go to the primary, and to the next one when it was killed; nothing acknowledged is lost", async () => {
  const { servers, pool } = await open(1);
  await pool.query("insert into t values ($1, $2)", [1, "before"]);
  const first = await pool.queryResult("select 1");
  expect(first.node).toBe(servers.name(0));
  await servers.caughtUp();
  await servers.kill(0);
  const promoted = servers.promote(1);
  const ids: number[] = [];
  for (let id = 2; id < 12; id += 1) {
    await pool.transaction(
      async (tx) => {
        await tx.query("insert into t values ($1, $2)", [id, "after"]);
      },
      { maxAttempts: 10 },
    );
    ids.push(id);
  }
  await promoted;
  const rows = await pool.query<{ id: number }>("select id from t order by id");
  expect(rows.map(({ id }) => id)).toEqual([1, ...ids]);
  expect((await pool.queryResult("select 1")).node).toBe(servers.name(1));
  expect(pool.topology().find(({ writable }) => writable)?.node).toBe(servers.name(1));
});

test("reads prefer standbys and never fail while the primary is killed", async () => {
  const { servers, pool } = await open(1);
  await pool.query("insert into t values (1, 'x')");
  await servers.caughtUp();
  await pool.ready({ mode: "read-only" });
  let stop = false;
  const nodes = new Set<string>();
  const reading = (async () => {
    while (!stop) {
      const { rows, node } = await pool.queryResult("select v from t", [], {
        mode: "prefer-standby",
      });
      expect(rows).toEqual([{ v: "x" }]);
      nodes.add(node);
    }
  })();
  await servers.kill(0);
  await new Promise((resolve) => setTimeout(resolve, 300));
  stop = true;
  await reading;
  expect([...nodes]).toEqual([servers.name(1)]);
});

test("nobody there: the error says who was asked, when the time is over", async () => {
  const { servers, pool } = await open(1, { acquireTimeoutMs: 400 });
  await pool.ready();
  await servers.kill(0);
  const since = performance.now();
  await expect(pool.query("insert into t values (5, 'x')")).rejects.toMatchObject({
    code: expect.stringMatching(/^(NO_PRIMARY|IN_DOUBT)$/),
  });
  await expect(pool.query("insert into t values (5, 'x')")).rejects.toMatchObject({
    code: "NO_PRIMARY",
    message: "no writable primary available after 400ms",
    detail: expect.stringContaining(servers.name(0)),
  });
  expect(performance.now() - since).toBeLessThan(2500);
});

test("onPrimary: each new one once, in order; a restart is none", async () => {
  const { servers, pool } = await open(1);
  const seen: string[] = [];
  const epochs: bigint[] = [];
  pool.onPrimary(({ node, epoch }) => {
    seen.push(node);
    epochs.push(epoch);
  });
  await until("the first one", { limitMs: 5000 }, () => seen.length === 1);
  await servers.kill(0);
  await servers.restart(0);
  await pool.ready();
  await servers.caughtUp();
  await servers.kill(0);
  await servers.promote(1);
  await until("the second one", { limitMs: 5000 }, () => seen.length === 2);
  expect(seen).toEqual([servers.name(0), servers.name(1)]);
  expect(epochs).toEqual(epochs.toSorted());
});
