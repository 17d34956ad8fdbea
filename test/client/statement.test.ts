import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createPool, json, type Pool, type PoolOptions } from "../../src/client/index.ts";
import { logOf } from "../replication/lab.ts";
import { errorOf } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { openServers, type Servers } from "./servers.ts";

let servers: Servers;
let pools: Pool[] = [];
const open = (more: Partial<PoolOptions> = {}): Pool => {
  const pool = createPool({ ...servers.options, ...more });
  pools.push(pool);
  return pool;
};
const onPrimary = (text: string) => servers.all[0]?.value(text);

beforeAll(async () => {
  servers = await openServers(0, { log_statement: "all", log_min_error_statement: "debug1" });
  await servers.all[0]?.sql("create table t (_id int primary key, v text, n int)");
});
afterEach(async () => {
  await Promise.all(pools.map((pool) => pool.end({ timeoutMs: 500 })));
  pools = [];
});
afterAll(() => servers?.close());

describe("statements", () => {
  test("30 selects at once give their own values", async () => {
    const pool = open({ poolSize: 4 });
    const asked = Array.from({ length: 30 }, (_, i) => i);
    const got = await Promise.all(
      asked.map((i) => pool.query<{ v: number }>("select $1::int as v", [i])),
    );
    expect(got.map(([row]) => row?.v)).toEqual(asked);
    expect(pool.status()).toMatchObject({ maxSize: 10 * 0 + 4, inUse: 0, waiting: 0 });
  });

  test("of 100 at once every tenth fails, the others give theirs; 90 inserts survive 10 errors", async () => {
    const pool = open();
    const work = Array.from({ length: 100 }, (_, i) =>
      pool.query("insert into t (_id, n) values ($1, 10 / $2::int)", [1000 + i, i % 10]),
    );
    const ended = await Promise.allSettled(work);
    const failed = ended.filter(({ status }) => status === "rejected");
    expect(failed).toHaveLength(10);
    for (const one of failed) expect(one).toMatchObject({ reason: { code: "22012", attempts: 1 } });
    expect(await onPrimary("select count(*) from t where _id between 1000 and 1099")).toBe("90");
  });

  test("errors carry SQLSTATE, detail, constraint, node", async () => {
    const pool = open();
    await pool.query("insert into t (_id) values (1)");
    await expect(pool.query("insert into t (_id) values (1)")).rejects.toMatchObject({
      name: "ClientError",
      code: "23505",
      constraint: "t_pkey",
      detail: expect.stringContaining("(1)"),
      node: servers.name(0),
      attempts: 1,
    });
  });

  test("one statement is one: several are refused, nothing of them happens", async () => {
    const pool = open();
    const several = "insert into t (_id) values (77); insert into t (_id) values (78)";
    await expect(pool.query(several)).rejects.toMatchObject({ code: "42601" });
    expect(await onPrimary("select count(*) from t where _id in (77, 78)")).toBe("0");
  });

  test("row modes: objects keep the last of equal names, arrays keep all, JSON can be written", async () => {
    const pool = open();
    const sql = "select 1::int8 as a, 2 as a, 'NaN'::float8 as f, '\\x61'::bytea as b";
    expect(await pool.query(sql)).toEqual([{ a: 2, f: Number.NaN, b: Buffer.from("a") }]);
    expect(await pool.query(sql, [], { rowMode: "array" })).toEqual([
      [1n, 2, Number.NaN, Buffer.from("a")],
    ]);
    const rows = await pool.query(sql, [], { rowMode: "json" });
    expect(JSON.parse(JSON.stringify(rows))).toEqual([{ a: 2, f: "NaN", b: "YQ==" }]);
  });

  test("400 different statements on one connection: at most 256 stay prepared", async () => {
    const pool = open({ poolSize: 1 });
    for (let i = 0; i < 400; i += 1) await pool.query(`select ${i} as v where $1`, [true]);
    expect(await pool.query("select 399 as v where $1", [true])).toEqual([{ v: 399 }]);
    const [row] = await pool.query<{ n: bigint }>(
      "select count(*) as n from pg_prepared_statements",
    );
    expect(Number(row?.n)).toBeLessThanOrEqual(256);
    expect(Number(row?.n)).toBeGreaterThan(250);
  });

  test("a plan that went stale is made anew", async () => {
    const pool = open({ poolSize: 1 });
    await pool.query("create table stale (a int)");
    await pool.query("insert into stale values (1)");
    expect(await pool.query("select * from stale")).toEqual([{ a: 1 }]);
    await pool.query("alter table stale add column b int default 2");
    expect(await pool.query("select * from stale")).toEqual([{ a: 1, b: 2 }]);
    await pool.query("drop table stale");
  });

  test("without prepared statements nothing is prepared", async () => {
    const pool = open({ poolSize: 1, preparedStatements: false });
    await pool.query("select $1::int", [1]);
    const [row] = await pool.query<{ n: bigint }>(
      "select count(*) as n from pg_prepared_statements",
    );
    expect(row?.n).toBe(0n);
  });

  test("a type parser that throws rejects its own call only", async () => {
    const pool = open({
      poolSize: 1,
      types: {
        25: () => {
          throw new Error("not today");
        },
      },
    });
    await expect(pool.query("select 'x'::text as v")).rejects.toThrow("not today");
    expect(await pool.query("select 1 as v")).toEqual([{ v: 1 }]);
  });

  test("a logger hears of every call, of no parameter, and may throw", async () => {
    const heard: unknown[] = [];
    const pool = open({
      logger: (entry) => {
        heard.push(entry);
        throw new Error("a logger's own trouble");
      },
    });
    await pool.query("select $1::text", ["secret"]);
    await errorOf(pool.query("select nothing"));
    expect(heard).toMatchObject([
      { sql: "select $1::text", node: servers.name(0), rowCount: 1, attempts: 1 },
      { sql: "select nothing", error: expect.any(String), attempts: 1 },
    ]);
    expect(JSON.stringify(heard)).not.toContain("secret");
  });

  test("an insert that may be repeated: once in the table, [] for the duplicate", async () => {
    const pool = open();
    const row = { _id: 500, v: "x" };
    expect(await pool.insert("t", row, { idempotency: true })).toMatchObject([row]);
    expect(await pool.insert("t", row, { idempotency: true })).toEqual([]);
    await expect(pool.insert("t", row)).rejects.toMatchObject({ code: "23505" });
    const byValue = await pool.insert("public.t", { _id: 501, v: 'a"b' });
    expect(byValue).toMatchObject([{ _id: 501, v: 'a"b' }]);
  });
});

describe("types, both ways", () => {
  const cases: readonly [string, unknown, unknown][] = [
    ["bool", true, true],
    ["int2", -32768, -32768],
    ["int4", 2147483647, 2147483647],
    ["oid", 4294967295, 4294967295],
    ["int8", 2n ** 63n - 1n, 2n ** 63n - 1n],
    ["float4", 1.5, 1.5],
    ["float8", Number.NaN, Number.NaN],
    ["float8", -Infinity, -Infinity],
    ["numeric", "12345678901234567890.123456789", "12345678901234567890.123456789"],
    ["money", "$1,234.50", "$1,234.50"],
    ["text", "ä\u{1f600}'\"\\", "ä\u{1f600}'\"\\"],
    ["varchar", "", ""],
    ["name", "n", "n"],
    ['"char"', "a", "a"],
    ["xml", "<a/>", "<a/>"],
    ["uuid", "6f1ed002-ab5c-4b1c-9b0a-1a2b3c4d5e6f", "6f1ed002-ab5c-4b1c-9b0a-1a2b3c4d5e6f"],
    ["bytea", Buffer.from([0, 1, 39, 92, 255]), Buffer.from([0, 1, 39, 92, 255])],
    ["json", { a: [1, null] }, { a: [1, null] }],
    ["jsonb", json([1, "x"]), [1, "x"]],
    ["timestamptz", new Date(Date.UTC(2024, 1, 29, 12)), "2024-02-29T12:00:00.000000Z"],
    ["timestamptz", "2024-02-29 12:00:00.000001+02", "2024-02-29T10:00:00.000001Z"],
    ["timestamptz", "infinity", "infinity"],
    ["timestamp", "2024-02-29 12:00:00.999999", "2024-02-29T12:00:00.999999"],
    ["date", "2024-02-29", "2024-02-29"],
    ["time", "12:00:00.5", "12:00:00.5"],
    ["timetz", "12:00:00+02", "12:00:00+02:00"],
    ["interval", "1 day 02:03:04", "1 day 02:03:04"],
    ["pg_lsn", "16/B374D848", "16/B374D848"],
    ["inet", "10.0.0.1/8", "10.0.0.1/8"],
    ["tsvector", "'a':1", "'a':1"],
    ["bit(3)", "101", "101"],
    ["int4range", "[1,3)", "[1,3)"],
    ["int4[]", [1, null, 3], [1, null, 3]],
    ["int8[]", [[1n], [2n]], [[1n], [2n]]],
    ["text[]", ["", "NULL", 'a"b,{}'], ["", "NULL", 'a"b,{}']],
    ["bytea[]", [Buffer.from([1, 255])], [Buffer.from([1, 255])]],
    ["timestamptz[]", ["2024-01-01 00:00:00+00"], ["2024-01-01T00:00:00.000000Z"]],
    ["int4", null, null],
  ];
  test.each(cases)("%s %s", async (type, given, expected) => {
    const pool = open({ poolSize: 1 });
    const [row] = await pool.query<[unknown]>(`select $1::${type}`, [given], { rowMode: "array" });
    expect(row).toEqual([expected]);
  });

  test('"char" of any byte, and a time zone that is not UTC', async () => {
    const pool = open({ poolSize: 1 });
    const [row] = await pool.query<string[]>(
      `select 0::"char", 1::"char", '\\x'::"char", ''::"char"`,
      [],
      { rowMode: "array" },
    );
    expect(row?.slice(0, 2)).toEqual(["", "\u0001"]);
    await pool.session(async (session) => {
      await session.query("set timezone = 'Asia/Kolkata'");
      const [at] = await session.query("select '2024-01-01 00:00:00.000001+00'::timestamptz as at");
      expect(at).toEqual({ at: "2024-01-01T00:00:00.000001Z" });
    });
  });
});

describe("transactions", () => {
  test("seven statements with savepoints, nine times: the sum is right", async () => {
    const pool = open();
    for (let round = 0; round < 9; round += 1) {
      const id = 2000 + round;
      await pool.transaction(async (tx) => {
        await tx.query("insert into t (_id, n) values ($1, 1)", [id]);
        await tx.query("savepoint s");
        await tx.query("update t set n = n + 100 where _id = $1", [id]);
        await tx.query("rollback to savepoint s");
        await errorOf(tx.query("select 1 / 0"));
        await tx.query("rollback to savepoint s");
        await tx.query("update t set n = n + 10 where _id = $1", [id]);
      });
    }
    expect(await onPrimary("select sum(n) from t where _id >= 2000")).toBe("99");
  });

  test("what fn throws comes back as it was, and nothing is left", async () => {
    const pool = open({ poolSize: 1 });
    const own = new Error("mine");
    const work = pool.transaction(async (tx) => {
      await tx.query("insert into t (_id) values (2100)");
      throw own;
    });
    expect(await errorOf(work)).toBe(own);
    expect(await pool.query("select 1 as v from t where _id = 2100")).toEqual([]);
  });

  test("an error that fn swallows commits nothing, and says so", async () => {
    const pool = open();
    const work = pool.transaction(async (tx) => {
      await tx.query("insert into t (_id) values (2101)");
      await errorOf(tx.query("select 1 / 0"));
    });
    await expect(work).rejects.toMatchObject({ code: "25P02" });
    expect(await onPrimary("select count(*) from t where _id = 2101")).toBe("0");
  });

  test("a serialization failure runs fn again, whole", async () => {
    const pool = open();
    await pool.query("insert into t (_id, n) values (2200, 0)");
    let runs = 0;
    const add = () =>
      pool.transaction(
        async (tx) => {
          runs += 1;
          const [row] = await tx.query<{ n: number }>("select n from t where _id = 2200");
          await tx.query("update t set n = $1 where _id = 2200", [(row?.n ?? 0) + 1]);
        },
        { isolation: "serializable", maxAttempts: 50 },
      );
    await Promise.all(Array.from({ length: 8 }, add));
    expect(await onPrimary("select n from t where _id = 2200")).toBe("8");
    expect(runs).toBeGreaterThan(8);
  });

  test("begin: commit, rollback, and no use after the end", async () => {
    const pool = open({ poolSize: 2 });
    const kept = await pool.begin();
    await kept.query("insert into t (_id) values (2300)");
    await kept.commit();
    await expect(kept.query("select 1")).rejects.toMatchObject({ code: "TX_LOST" });
    await expect(kept.commit()).rejects.toMatchObject({ code: "TX_LOST" });
    const dropped = await pool.begin();
    await dropped.query("insert into t (_id) values (2301)");
    await dropped.rollback();
    const readOnly = await pool.begin({ readOnly: true });
    await expect(readOnly.query("insert into t (_id) values (1)")).rejects.toMatchObject({
      code: "25006",
    });
    await readOnly.rollback();
    expect(await onPrimary("select array_agg(_id) from t where _id in (2300, 2301)")).toBe(
      "{2300}",
    );
    expect(pool.status().inUse).toBe(0);
  });

  test("a lost begin() says TX_LOST, and what it did is not there", async () => {
    const pool = open({ poolSize: 1 });
    const tx = await pool.begin();
    await tx.query("insert into t (_id) values (2400)");
    await onPrimary(
      "select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction'",
    );
    await expect(tx.query("select 1")).rejects.toMatchObject({
      code: expect.stringMatching(/TX_LOST|57P01/),
    });
    await expect(tx.commit()).rejects.toThrow();
    expect(await onPrimary("select count(*) from t where _id = 2400")).toBe("0");
    expect(await pool.query("select 1 as v")).toEqual([{ v: 1 }]);
  });

  test("session: one connection, closed afterwards with all it had set", async () => {
    const pool = open({ poolSize: 1 });
    await pool.session(async (session) => {
      await session.query("create temporary table mine (a int)");
      await session.query("set work_mem = '1MB'");
      await session.query("insert into mine values (1)");
      expect(await session.query("select a from mine")).toEqual([{ a: 1 }]);
    });
    await expect(pool.query("select * from mine")).rejects.toMatchObject({ code: "42P01" });
    expect(await pool.query("show work_mem")).not.toEqual([{ work_mem: "1MB" }]);
  });
});

describe("stopping", () => {
  test("a timeout is kept, five times; the next statement on that connection is unharmed", async () => {
    const pool = open({ poolSize: 1 });
    await pool.query("select 1");
    for (let round = 0; round < 5; round += 1) {
      const since = performance.now();
      await expect(pool.query("select pg_sleep(10)", [], { timeoutMs: 100 })).rejects.toMatchObject(
        {
          code: "TIMEOUT",
        },
      );
      const took = performance.now() - since;
      expect(took).toBeGreaterThanOrEqual(90);
      expect(took).toBeLessThan(300);
      expect(await pool.query("show statement_timeout")).toEqual([{ statement_timeout: "0" }]);
    }
    expect(await pool.query("select 7 as v", [], { timeoutMs: 5000 })).toEqual([{ v: 7 }]);
    expect(pool.status()).toMatchObject({ size: 1, inUse: 0 });
  });

  test("aborted while queued: the server never sees it", async () => {
    const pool = open({ poolSize: 1 });
    const busy = pool.query("select pg_sleep(0.3)");
    const stop = new AbortController();
    const queued = pool.query("select 'never seen'", [], { signal: stop.signal });
    await until("it waits", { limitMs: 2000, everyMs: 2 }, () => pool.status().waiting === 1);
    stop.abort();
    await expect(queued).rejects.toMatchObject({ code: "ABORTED" });
    await busy;
    const [server] = servers.all;
    expect(server && (await logOf(server))).not.toContain("never seen");
  });

  test("aborted while running: cancelled on the server, a write has no effect", async () => {
    const pool = open({ poolSize: 1 });
    const stop = new AbortController();
    const running = pool.query("insert into t (_id) select 3000 from pg_sleep(5)", [], {
      signal: stop.signal,
    });
    const failed = errorOf(running);
    await until(
      "it runs",
      { limitMs: 2000 },
      async () =>
        (await onPrimary(
          "select count(*) from pg_stat_activity where query like '%3000 from pg_sleep%' and state = 'active'",
        )) === "2" || undefined,
    ).catch(() => undefined);
    stop.abort();
    expect(await failed).toMatchObject({ code: "ABORTED" });
    expect(await onPrimary("select count(*) from t where _id = 3000")).toBe("0");
    await until("it stands in the log", { limitMs: 2000 }, async () => {
      const [server] = servers.all;
      return server && (await logOf(server)).includes("canceling statement due to user request");
    });
  });

  test("aborted at random, 400 times: never another statement is hit", async () => {
    const pool = open({ poolSize: 3 });
    const ended = { done: 0, aborted: 0 };
    const one = async (round: number) => {
      const stop = new AbortController();
      const timer = setTimeout(() => stop.abort(), Math.random() * 6);
      try {
        await pool.query("select pg_sleep(0.002)", [], { signal: stop.signal });
        ended.done += 1;
      } catch (error) {
        expect(error, `round ${round}`).toMatchObject({ code: "ABORTED" });
        ended.aborted += 1;
      } finally {
        clearTimeout(timer);
      }
      // Nobody asked for this one to be stopped.
      expect(await pool.query("select $1::int as v", [round])).toEqual([{ v: round }]);
    };
    for (let round = 0; round < 400; round += 8) {
      await Promise.all(Array.from({ length: 8 }, (_, i) => one(round + i)));
    }
    expect(ended.done).toBeGreaterThan(20);
    expect(ended.aborted).toBeGreaterThan(20);
    expect(pool.status()).toMatchObject({ inUse: 0, waiting: 0 });
  });

  test("a result that came in time is given, though the signal aborts", async () => {
    const pool = open();
    const stop = new AbortController();
    const rows = await pool.query("select 1 as v", [], { signal: stop.signal, timeoutMs: 1000 });
    stop.abort();
    expect(rows).toEqual([{ v: 1 }]);
    await expect(pool.query("select 1", [], { signal: stop.signal })).rejects.toMatchObject({
      code: "ABORTED",
    });
  });

  test("a transaction out of time is rolled back", async () => {
    const pool = open({ poolSize: 1 });
    const work = pool.transaction(
      async (tx) => {
        await tx.query("insert into t (_id) values (3100)");
        await tx.query("select pg_sleep(5)");
      },
      { timeoutMs: 150 },
    );
    await expect(work).rejects.toMatchObject({ code: "TIMEOUT" });
    expect(await pool.query("select 1 from t where _id = 3100")).toEqual([]);
  });

  test("the server's own limit", async () => {
    const pool = open({ statementTimeoutMs: 50 });
    await expect(pool.query("select pg_sleep(5)")).rejects.toMatchObject({ code: "57014" });
  });
});

describe("room", () => {
  test("a full pool: the queue is bounded, and who waits too long is told", async () => {
    const pool = open({ poolSize: 1, maxWaiting: 2, acquireTimeoutMs: 200 });
    await pool.ready();
    const busy = pool.query("select pg_sleep(0.6)");
    await until("it runs", { limitMs: 2000, everyMs: 1 }, () => pool.status().inUse === 1);
    const waiting = [1, 2].map((v) => errorOf(pool.query("select $1::int", [v])));
    await until("two wait", { limitMs: 2000, everyMs: 1 }, () => pool.status().waiting === 2);
    await expect(pool.query("select 3")).rejects.toMatchObject({ code: "QUEUE_FULL" });
    expect(await Promise.all(waiting)).toMatchObject([
      { code: "NO_PRIMARY" },
      { code: "NO_PRIMARY" },
    ]);
    await busy;
    expect(await pool.query("select 4 as v")).toEqual([{ v: 4 }]);
  });

  test("all sessions ended by the server: the next two selects work within 100 ms", async () => {
    const pool = open();
    await Promise.all([1, 2, 3].map(() => pool.query("select pg_sleep(0.02)")));
    await onPrimary(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pg-replica'",
    );
    const since = performance.now();
    expect(await pool.query("select 1 as v", [], { mode: "any" })).toEqual([{ v: 1 }]);
    expect(await pool.query("select 2 as v", [], { mode: "any" })).toEqual([{ v: 2 }]);
    expect(performance.now() - since).toBeLessThan(400);
  });

  test("end: what runs finishes, what takes too long is cancelled, nothing stays open", async () => {
    const name = `ending-${randomUUID()}`;
    const pool = createPool({ ...servers.options, applicationName: name });
    const quick = pool.query("select pg_sleep(0.1), 1 as v");
    const slow = errorOf(pool.query("select pg_sleep(20)"));
    await until("both run", { limitMs: 2000, everyMs: 2 }, () => pool.status().inUse === 2);
    await pool.end({ timeoutMs: 300 });
    expect(await quick).toMatchObject([{ v: 1 }]);
    expect(await slow).toMatchObject({
      code: expect.stringMatching(/57014|IN_DOUBT|CONNECTION_LOST/),
    });
    await expect(pool.query("select 1")).rejects.toMatchObject({ code: "POOL_ENDED" });
    await until(
      "no session is left",
      { limitMs: 2000 },
      async () =>
        (await onPrimary(
          `select count(*) from pg_stat_activity where application_name = '${name}'`,
        )) === "0",
    );
  });
});
