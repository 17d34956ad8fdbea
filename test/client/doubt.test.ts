import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createPool, OUTCOME_DDL, type Pool, type PoolOptions } from "../../src/client/index.ts";
import { errorOf } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { type LossyProxy, openProxy } from "./proxy.ts";
import { openServers, type Servers } from "./servers.ts";

let servers: Servers;
let proxy: LossyProxy;
let pool: Pool;
let id = 0;
const open = (more: Partial<PoolOptions> = {}) =>
  createPool({
    ...servers.options,
    hosts: [`127.0.0.1:${proxy.port}`],
    tls: { mode: "disable" },
    ...more,
  });
const server = () => {
  const [first] = servers.all;
  if (first === undefined) throw new Error("no server");
  return first;
};
const rowsOf = (of: number) => server().value(`select count(*) from t where id = ${of}`);

beforeAll(async () => {
  servers = await openServers(0);
  await server().sql("create table t (id int, by text)");
  await server().sql(OUTCOME_DDL);
});
beforeEach(async () => {
  proxy = await openProxy(server());
  pool = open();
  await pool.query("select 1");
  id += 1;
});
afterEach(async () => {
  await pool.end({ timeoutMs: 500 });
  await proxy.close();
});
afterAll(() => servers?.close());

const insert = (of: number, key?: string) =>
  pool.queryResult("insert into t values ($1, 'query') returning id", [of], {
    ...(key === undefined ? {} : { idempotencyKey: key }),
  });

describe("without a key nothing is tried again, and nothing is called a success or a failure", () => {
  test.each([
    ["question", "0"],
    ["answer", "1"],
  ] as const)("a single write whose %s is lost", async (loss, rows) => {
    proxy.lose(loss, "insert into t");
    await expect(insert(id)).rejects.toMatchObject({ code: "IN_DOUBT", attempts: 1 });
    await until("the server is done", { limitMs: 2000 }, async () => (await rowsOf(id)) === rows);
  });

  test.each([
    ["question", "0"],
    ["answer", "1"],
  ] as const)("a transaction whose COMMIT lost its %s", async (loss, rows) => {
    let runs = 0;
    proxy.lose(loss, "commit\0");
    const work = pool.transaction(async (tx) => {
      runs += 1;
      await tx.query("insert into t values ($1)", [id]);
    });
    await expect(work).rejects.toMatchObject({ code: "IN_DOUBT" });
    expect(runs).toBe(1);
    await until("the server is done", { limitMs: 2000 }, async () => (await rowsOf(id)) === rows);
  });

  test.each([
    ["readOnly: false", { mode: "any", readOnly: false }, "select 1"],
    ["SET TRANSACTION READ WRITE", { mode: "any" }, "set transaction read write"],
    ["BEGIN READ WRITE", { readOnly: true }, "begin read write"],
  ] as const)("a transaction that writes on a connection for reads: %s", async (_, how, first) => {
    let runs = 0;
    await pool.query("select 1", [], { mode: "any" });
    proxy.lose("answer", "commit\0");
    const work = pool.transaction(async (tx) => {
      runs += 1;
      await tx.query(first);
      await tx.query("insert into t values ($1)", [id]);
    }, how);
    await expect(work).rejects.toMatchObject({ code: "IN_DOUBT" });
    expect(runs).toBe(1);
    expect(await rowsOf(id)).toBe("1");
  });

  test("a write that was answered is done, though its WAL position cannot be asked any more", async () => {
    proxy.lose("answer", "pg_current_wal_insert_lsn");
    const sql = "insert into t values ($1) returning id";
    const done = await pool.queryResult(sql, [id], { lsn: true });
    expect(done).toMatchObject({ rows: [{ id }], lsn: undefined });
    expect(proxy.losses).toBe(1);
    expect(await rowsOf(id)).toBe("1");
  });

  test("begin(): a commit without an answer is doubt", async () => {
    const tx = await pool.begin();
    await tx.query("insert into t values ($1)", [id]);
    proxy.lose("answer", "commit\0");
    await expect(tx.commit()).rejects.toMatchObject({ code: "IN_DOUBT" });
    expect(await rowsOf(id)).toBe("1");
  });

  test("given up while COMMIT was under way", async () => {
    proxy.delay(150);
    const work = pool.transaction(
      async (tx) => {
        await tx.query("insert into t values ($1)", [id]);
      },
      { timeoutMs: 750 },
    );
    // Round trips of 300 ms: begin, insert, and COMMIT is on its way when the time is over.
    const error = await errorOf(work);
    expect(["IN_DOUBT", "TIMEOUT"]).toContain(error.code);
    const rows = await rowsOf(id);
    if (error.code === "TIMEOUT") expect(rows).toBe("0");
  });
});

describe("what is harmless or certainly undone is tried again", () => {
  test("a read", async () => {
    proxy.lose("answer", "select 41");
    const { rows } = await pool.queryResult("select 41 + $1::int as v", [1], { mode: "any" });
    expect(rows).toEqual([{ v: 42 }]);
    expect(proxy.losses).toBe(1);
  });

  test("a transaction that only read, though its COMMIT is lost", async () => {
    proxy.lose("answer", "commit\0");
    const read = pool.transaction((tx) => tx.query("select 1 as v"), { readOnly: true });
    expect(await read).toEqual([{ v: 1 }]);
    expect(proxy.losses).toBe(1);
  });

  test("a transaction that was lost before its COMMIT, which fn did not mind", async () => {
    let runs = 0;
    const work = pool.transaction(async (tx) => {
      runs += 1;
      if (runs === 1) proxy.lose("answer", "insert into t");
      await tx.query("insert into t values ($1)", [id]).catch(() => undefined);
    });
    await work;
    expect(runs).toBe(2);
    expect(await rowsOf(id)).toBe("1");
  });

  test("a transaction that was lost before its COMMIT runs again, whole", async () => {
    let runs = 0;
    const node = await pool.transaction(async (tx) => {
      runs += 1;
      if (runs === 1) proxy.lose("answer", "insert into t");
      await tx.query("insert into t values ($1)", [id]);
      return tx.node;
    });
    expect([runs, node]).toEqual([2, `127.0.0.1:${proxy.port}`]);
    expect(await rowsOf(id)).toBe("1");
  });

  test("a write that says it is harmless twice", async () => {
    await server().sql("create table if not exists once (_id int primary key)");
    proxy.lose("answer", 'insert into "once"');
    expect(await pool.insert("once", { _id: id }, { idempotency: true })).toEqual([]);
    expect(await server().value(`select count(*) from once where _id = ${id}`)).toBe("1");
  });
});

describe("with a key it happens exactly once", () => {
  test.each([
    ["question", "insert into t", false],
    ["answer", "insert into t", false],
    ["question", "commit\0", false],
    ["answer", "commit\0", true],
    ["answer", "insert into replica_client", false],
  ] as const)("the %s to %j is lost", async (loss, text, resolved) => {
    proxy.lose(loss, text);
    const result = await insert(id, randomUUID());
    expect(result).toMatchObject({ resolved, rows: resolved ? [] : [{ id }] });
    expect(proxy.losses).toBe(1);
    expect(await rowsOf(id)).toBe("1");
  });

  test("a transaction whose answer is lost gives undefined; the same key again does nothing", async () => {
    const idempotencyKey = randomUUID();
    const work = () =>
      pool.transaction(
        async (tx) => {
          await tx.query("insert into t values ($1)", [id]);
          return "done";
        },
        { idempotencyKey },
      );
    proxy.lose("answer", "commit\0");
    expect(await work()).toBeUndefined();
    expect(await work()).toBeUndefined();
    expect(await rowsOf(id)).toBe("1");
  });

  test("the claim waits for an original that still runs", async () => {
    const key = randomUUID();
    const first = await pool.begin();
    await first.query("insert into replica_client.outcome (key) values ($1)", [key]);
    await first.query("insert into t values ($1)", [id]);
    const second = insert(id, key);
    await until("it waits for the first one", { limitMs: 3000 }, async () => {
      const waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
      return (await server().value(waits)) === "1";
    });
    await first.commit();
    expect(await second).toMatchObject({ resolved: true });
    expect(await rowsOf(id)).toBe("1");
  });

  test("twenty callers with one key, answers lost at random: one row", async () => {
    const key = randomUUID();
    const work = Array.from({ length: 20 }, (_, i) => {
      if (i % 5 === 0) proxy.lose("answer", "commit\0");
      return insert(id, key);
    });
    const ended = await Promise.all(work);
    expect(ended.filter(({ resolved }) => !resolved).length).toBeLessThanOrEqual(1);
    expect(await rowsOf(id)).toBe("1");
  });

  test("no uuid, and no table: said by name, with what makes the table", async () => {
    await expect(insert(id, "order-7")).rejects.toMatchObject({ code: "CONFIG" });
    await server().sql("alter schema replica_client rename to elsewhere");
    try {
      await expect(insert(id, randomUUID())).rejects.toMatchObject({
        code: "42P01",
        hint: OUTCOME_DDL,
      });
    } finally {
      await server().sql("alter schema elsewhere rename to replica_client");
    }
    expect(await rowsOf(id)).toBe("0");
  });
});

describe("a commit that gave up waiting for its standbys", () => {
  const waiting = "select pid from pg_stat_activity where wait_event = 'SyncRep'";
  const set = async (names: string) => {
    await server().sql(`alter system set synchronous_standby_names = '${names}'`);
    await server().sql("select pg_reload_conf()");
    await until(
      "the rule is in force",
      { limitMs: 3000 },
      async () => (await server().value("show synchronous_standby_names")) === names,
    );
  };
  const stopIt = async (how: "pg_cancel_backend" | "pg_terminate_backend") => {
    await until(
      "it waits",
      { limitMs: 5000 },
      async () => (await server().sql(waiting)).length > 0,
    );
    await server().sql(`select ${how}(pid) from (${waiting}) as w`);
  };
  beforeEach(() => set("nobody"));
  afterEach(() => set(""));

  test.each(["pg_cancel_backend", "pg_terminate_backend"] as const)(
    "%s: a success that is none, for a statement and a transaction",
    async (how) => {
      const single = errorOf(insert(id));
      await stopIt(how);
      expect(await single).toMatchObject({ code: "IN_DOUBT" });
      const whole = errorOf(
        pool.transaction(async (tx) => {
          await tx.query("insert into t values ($1)", [id]);
        }),
      );
      await stopIt(how);
      expect(await whole).toMatchObject({ code: "IN_DOUBT" });
      const harmless = errorOf(
        pool.query("insert into t values ($1)", [id], { retry: true }), // a second one need not wait
      );
      await stopIt(how);
      expect(await harmless).toMatchObject({ code: "IN_DOUBT" });
      expect(await rowsOf(id)).toBe("3");
    },
  );

  test("a caller out of time: his statement is committed here alone, so it is no TIMEOUT", async () => {
    const work = pool.query("insert into t values ($1)", [id], { timeoutMs: 200 });
    await expect(work).rejects.toMatchObject({ code: "IN_DOUBT" });
    expect(await rowsOf(id)).toBe("1");
  });

  test("with a key it waits again: resolved only when a commit of its own was confirmed", async () => {
    const done = insert(id, randomUUID());
    await stopIt("pg_cancel_backend");
    await until(
      "the claim waits too",
      { limitMs: 5000 },
      async () => (await server().sql(waiting)).length > 0,
    );
    await set("");
    expect(await done).toMatchObject({ resolved: true });
    expect(await rowsOf(id)).toBe("1");
  });
});
