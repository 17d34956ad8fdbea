import { describe, expect, test } from "vitest";
import { errorOf } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { useOneServer } from "./servers.ts";

const { open, onPrimary, servers } = useOneServer();

describe("statements", () => {
  test("30 selects at once give their own values", async () => {
    const pool = open({ poolSize: 4 });
    const asked = Array.from({ length: 30 }, (_, i) => i);
    const got = await Promise.all(
      asked.map((i) => pool.query<{ v: number }>("select $1::int as v", [i])),
    );
    expect(got.map(([row]) => row?.v)).toEqual(asked);
    expect(pool.status()).toMatchObject({ maxSize: 4, inUse: 0, waiting: 0 });
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
      node: servers().name(0),
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

  test("COPY has nothing to read from or to write to: an error, and the connection goes on", async () => {
    const pool = open({ poolSize: 1 });
    await expect(pool.query("copy t from stdin")).rejects.toMatchObject({ code: "57014" });
    await expect(pool.query("copy (select 1) to stdout")).rejects.toMatchObject({
      code: "UNREADABLE",
      message: expect.stringContaining("COPY TO STDOUT"),
    });
    expect(await pool.query("select 1 as v")).toEqual([{ v: 1 }]);
    expect(pool.status().size).toBe(1);
  });

  test("what a statement did is counted and named; an empty one does nothing", async () => {
    const pool = open({ poolSize: 1 });
    await pool.query("create temporary table counted (a int)");
    const done = await pool.queryResult("insert into counted values (1), (2)");
    expect(done).toMatchObject({ command: "INSERT", rowCount: 2, rows: [], fields: [] });
    for (let twice = 0; twice < 2; twice += 1) {
      const { command, rowCount, fields } = await pool.queryResult(
        "select a, 'x' as b from counted",
      );
      expect({ command, rowCount }).toEqual({ command: "SELECT", rowCount: 2 });
      expect(fields.map(({ name, dataTypeID }) => [name, dataTypeID])).toEqual([
        ["a", 23],
        ["b", 25],
      ]);
    }
    expect(await pool.queryResult("")).toMatchObject({ command: "", rowCount: null, rows: [] });
  });

  test("statements that somebody deallocated are prepared anew", async () => {
    const pool = open({ poolSize: 1 });
    expect(await pool.query("select 5 as v")).toEqual([{ v: 5 }]);
    await pool.query("deallocate all");
    expect(await pool.query("select 5 as v")).toEqual([{ v: 5 }]);
  });

  test("40,000 parameters are taken; more than the protocol counts are refused, nothing is sent", async () => {
    const pool = open({ poolSize: 1 });
    const count = (n: number) => {
      const places = Array.from({ length: n }, (_, i) => `$${i + 1}`).join();
      const sql = `select cardinality(array[${places}]::int[]) as n`;
      return pool.query(sql, Array(n).fill(1));
    };
    expect(await count(40_000)).toEqual([{ n: 40_000 }]);
    await expect(count(65_536)).rejects.toMatchObject({ code: "CONFIG" });
    expect(await pool.query("select 1 as v")).toEqual([{ v: 1 }]);
    expect(pool.status()).toMatchObject({ size: 1, inUse: 0 });
  });

  test("a type parser that throws rejects its own call only; what the statement did is done", async () => {
    const pool = open({
      poolSize: 1,
      types: {
        25: () => {
          throw new Error("not today");
        },
      },
    });
    const told = { code: "UNREADABLE", message: "not today" };
    await expect(pool.query("select 'x'::text as v")).rejects.toMatchObject(told);
    const insert = "insert into t (_id, v) values ($1, 'x') returning v";
    await expect(pool.query(insert, [520])).rejects.toMatchObject(told);
    const work = pool.transaction((tx) => tx.query(insert, [521]));
    await expect(work).rejects.toMatchObject(told);
    expect(await onPrimary("select array_agg(_id) from t where _id in (520, 521)")).toBe("{520}");
    // The server's own error counts: here there is nothing that was done.
    const failing = "select v, 1 / (n - 2) from (values ('x', 1), ('x', 2)) as _ (v, n)";
    await expect(pool.query(failing)).rejects.toMatchObject({ code: "22012" });
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
    await errorOf(pool.query("select $1::text::int", ["secret"])); // the server's message quotes it
    expect(heard).toMatchObject([
      { sql: "select $1::text", node: servers().name(0), rowCount: 1, attempts: 1 },
      { sql: "select nothing", error: "42703", attempts: 1 },
      { sql: "select $1::text::int", error: "22P02", attempts: 1 },
    ]);
    expect(JSON.stringify(heard)).not.toContain("secret");
  });

  test("an insert that may be repeated: once in the table, [] for the duplicate", async () => {
    const pool = open();
    const row = { _id: 500, v: "x" };
    expect(await pool.insert("t", row, { idempotency: true })).toMatchObject([row]);
    expect(await pool.insert("t", row, { idempotency: true })).toEqual([]);
    await expect(pool.insert("t", row)).rejects.toMatchObject({ code: "23505" });
    // What the server makes up, and what is null, is never a duplicate.
    for (const wrong of [{ v: "x" }, { _id: null, v: "x" }]) {
      const insert = pool.insert("t", wrong, { idempotency: true });
      await expect(insert).rejects.toMatchObject({ code: "CONFIG" });
    }
    const none = pool.insert("t", { _id: 502 }, { idempotency: true, conflictTarget: [] });
    await expect(none).rejects.toMatchObject({ code: "CONFIG" });
    const byValue = await pool.insert("public.t", { _id: 501, v: 'a"b' });
    expect(byValue).toMatchObject([{ _id: 501, v: 'a"b' }]);
  });

  test("an insert that may be repeated waits, as any other, for a primary that takes no writes just now", async () => {
    const pool = open({ poolSize: 1, pingIntervalMs: 60_000 });
    await pool.query("select 1");
    const readOnly = (value: string) =>
      servers()
        .all[0]?.sql(`alter system set default_transaction_read_only = ${value}`)
        .then(() => onPrimary("select pg_reload_conf()"));
    const isNow = (value: string) =>
      until(
        "the server has it",
        { limitMs: 5000 },
        async () => (await onPrimary("show transaction_read_only")) === value,
      );
    try {
      await readOnly("on");
      await isNow("on");
      const inserted = pool.insert("t", { _id: 510 }, { idempotency: true });
      const seen = until("the pool has seen it", { limitMs: 5000 }, () => {
        return pool.topology().every(({ writable }) => !writable);
      });
      await Promise.race([seen, inserted]);
      await readOnly("off");
      expect(await inserted).toMatchObject([{ _id: 510 }]);
    } finally {
      await readOnly("off");
      await isNow("off");
    }
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
    await expect(tx.commit()).rejects.toMatchObject({ code: "TX_LOST" });
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
