import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type PgPoolOptions, Pool } from "../../src/client/pg-pool.ts";
import { errorOf } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { openServers, type Servers } from "./servers.ts";

let servers: Servers;
let pool: Pool;
const options = (more: PgPoolOptions = {}): PgPoolOptions => {
  const hosts = servers.all.map(({ host }) => host).join(",");
  const ports = servers.all.map(({ port }) => port).join(",");
  const connectionString = `postgresql://postgres@${hosts}/postgres?port=${ports}`;
  return { connectionString, max: 3, pingIntervalMs: 1000, ...more };
};
beforeEach(async () => {
  servers = await openServers(1);
  await servers.all[0]?.sql("create table t (id int primary key, at timestamptz default now())");
  pool = new Pool(options());
});
afterEach(async () => {
  if (!pool.ended) await pool.end();
  await servers.close();
});

test("query, connect, events, counts and types are pg's; its clients live through a failover", async () => {
  const events: string[] = [];
  for (const name of ["connect", "acquire", "release", "remove"] as const) {
    pool.on(name, () => events.push(name));
  }
  const result = await pool.query(
    "insert into t (id) values ($1) returning id, at, 7::int8 as big",
    [1],
  );
  expect(result).toMatchObject({ command: "INSERT", rowCount: 1, rows: [{ id: 1, big: "7" }] });
  expect(result.rows[0].at).toBeInstanceOf(Date);
  expect(result.fields.map(({ name }) => name)).toEqual(["id", "at", "big"]);
  expect(pool).toBeInstanceOf(pg.Pool);

  const client = await pool.connect();
  await client.query("begin");
  await client.query({ text: "insert into t (id) values ($1)", values: [2], name: "by name" });
  expect(pool).toMatchObject({ totalCount: 1, idleCount: 0, waitingCount: 0 });
  await client.query("commit");
  client.release();
  expect(() => client.release()).toThrow(/already been released/);
  expect(pool).toMatchObject({ totalCount: 1, idleCount: 1 });
  expect(events).toEqual(["connect", "acquire", "release", "acquire", "release"]);

  const rows = await new Promise<unknown[]>((resolve, reject) => {
    pool.query(
      "select id from t order by id",
      (error: Error | undefined, { rows }: pg.QueryResult) =>
        error === undefined || error === null ? resolve(rows) : reject(error),
    );
  });
  expect(rows).toEqual([{ id: 1 }, { id: 2 }]);

  await servers.caughtUp();
  await servers.kill(0);
  const promoted = servers.promote(1);
  await until("it writes again", { limitMs: 10_000 }, async () => {
    await pool.query("insert into t (id) values (3) on conflict do nothing");
    return true;
  });
  await promoted;
  const { rows: all } = await pool.query({
    text: "select id from t order by id",
    rowMode: "array",
  });
  expect(all).toEqual([[1], [2], [3]]);
});

test("errors are pg's own, nothing is tried again, a broken client is not given out twice", async () => {
  const error = await errorOf(pool.query("select nothing"));
  expect(error).toBeInstanceOf(pg.DatabaseError);
  expect(error.code).toBe("42703");
  const client = await pool.connect();
  client.on("error", () => undefined);
  const [row] = (await client.query("select pg_backend_pid() as pid")).rows;
  await servers.all[0]?.sql(`select pg_terminate_backend(${row.pid})`);
  await expect(client.query("select 1")).rejects.toThrow();
  client.release();
  const { rows } = await pool.query("select pg_backend_pid() as pid");
  expect(rows[0].pid).not.toBe(row.pid);
});

test("more callers than connections wait their turn; callback style; end", async () => {
  const work = Array.from({ length: 20 }, (_, i) => pool.query("select $1::int as v", [i]));
  expect((await Promise.all(work)).map(({ rows }) => rows[0].v)).toEqual(work.map((_, i) => i));
  expect(pool.totalCount).toBeLessThanOrEqual(3);
  await new Promise<void>((resolve, reject) => {
    pool.connect((error, client, done) => {
      if (error !== undefined || client === undefined) return reject(error);
      client.query("select 1").then(() => {
        done();
        resolve();
      }, reject);
    });
  });
  const client = await pool.connect();
  const ending = pool.end();
  expect((await client.query("select 1 as v from pg_sleep(0.5)")).rows).toEqual([{ v: 1 }]);
  client.release();
  await ending;
  expect(pool.ended).toBe(true);
  await expect(pool.query("select 1")).rejects.toMatchObject({ code: "POOL_ENDED" });
  await expect(pool.connect()).rejects.toMatchObject({ code: "POOL_ENDED" });
});

test("options of pg in our words; reads to standbys when the mode says so", async () => {
  const reads = new Pool(options({ mode: "read-only" }));
  try {
    const { rows } = await reads.query(
      "select inet_server_port() as port, pg_is_in_recovery() as r",
    );
    expect(rows).toEqual([{ port: servers.all[1]?.port, r: true }]);
  } finally {
    await reads.end();
  }
  expect(() => new Pool({ host: "a", user: "u", max: 0 })).toThrow(/poolSize/);
  expect(() => new Pool({ user: "u" })).toThrow(/hosts/);
});
