import { randomUUID } from "node:crypto";
import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { createPool } from "../../src/client/index.ts";
import { logOf } from "../replication/lab.ts";
import { expectWithin } from "../support/fixture.ts";
import { fully } from "../support/fully.ts";
import { watchLag } from "../support/lag.ts";
import { heapMb } from "../support/leaks.ts";
import { errorOf } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { useOneServer } from "./servers.ts";

/** Of random aborts, eight at once. */
const ROUNDS = fully ? 10_000 : 240;

const { open, onPrimary, servers } = useOneServer();

describe("stopping", () => {
  test("a timeout is kept, five times; the next statement on that connection is unharmed", async () => {
    const pool = open({ poolSize: 1 });
    await pool.query("select 1");
    for (let round = 0; round < 5; round += 1) {
      const lag = watchLag();
      const since = performance.now();
      await expect(pool.query("select pg_sleep(10)", [], { timeoutMs: 100 })).rejects.toMatchObject(
        {
          code: "TIMEOUT",
        },
      );
      const took = performance.now() - since;
      expect(took).toBeGreaterThanOrEqual(90);
      expectWithin("a timeout of 100 ms", took, 300, lag.stop(), 2000);
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
    const [server] = servers().all;
    expect(server && (await logOf(server))).not.toContain("never seen");
  });

  test("aborted while running: cancelled on the server, a write has no effect", async () => {
    const pool = open({ poolSize: 1 });
    const stop = new AbortController();
    const running = pool.query("insert into t (_id) select 3000 from pg_sleep(5)", [], {
      signal: stop.signal,
    });
    const failed = errorOf(running);
    const seen = `select count(*) from pg_stat_activity where state = 'active'
      and query like '%3000 from pg_sleep%' and pid <> pg_backend_pid()`;
    await until("it runs", { limitMs: 2000 }, async () => (await onPrimary(seen)) === "1");
    stop.abort();
    expect(await failed).toMatchObject({ code: "ABORTED" });
    expect(await onPrimary("select count(*) from t where _id = 3000")).toBe("0");
    await until("it stands in the log", { limitMs: 2000 }, async () => {
      const [server] = servers().all;
      return server && (await logOf(server)).includes("canceling statement due to user request");
    });
  });

  test("aborted at random, hundreds of times: never another statement is hit", async () => {
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
    for (let round = 0; round < ROUNDS; round += 8) {
      await Promise.all(Array.from({ length: 8 }, (_, i) => one(round + i)));
    }
    expect(ended.done).toBeGreaterThan(5);
    expect(ended.aborted).toBeGreaterThan(5);
    expect(pool.status()).toMatchObject({ inUse: 0, waiting: 0 });
  }, 120_000);

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

  test("a signal that outlives its calls keeps no listener of them, garbage collected meanwhile or not", async () => {
    const pool = open({ poolSize: 8 });
    const stop = new AbortController();
    for (let round = 0; round < 5; round += 1) {
      const calls = Array.from({ length: 8 }, () =>
        pool.query("select pg_sleep(0.05)", [], { signal: stop.signal, timeoutMs: 5000 }),
      );
      await until("they run", { limitMs: 2000, everyMs: 1 }, () => pool.status().inUse === 8);
      heapMb();
      await Promise.all(calls);
    }
    expect(getEventListeners(stop.signal, "abort")).toEqual([]);
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

  test("all sessions ended by the server: the next two selects work quickly", async () => {
    const pool = open();
    await Promise.all([1, 2, 3].map(() => pool.query("select pg_sleep(0.02)")));
    await onPrimary(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pg-replica'",
    );
    const lag = watchLag();
    const since = performance.now();
    expect(await pool.query("select 1 as v", [], { mode: "any" })).toEqual([{ v: 1 }]);
    expect(await pool.query("select 2 as v", [], { mode: "any" })).toEqual([{ v: 2 }]);
    expectWithin("two selects", performance.now() - since, 100, lag.stop(), 2000);
  });

  test("end: a transaction in the caller's hands finishes too", async () => {
    const pool = createPool(servers().options);
    const tx = await pool.begin();
    await tx.query("insert into t (_id) values (3200)");
    const ended = pool.end({ timeoutMs: 20_000 });
    await tx.query("insert into t (_id) select 3201 from pg_sleep(0.5)");
    await tx.commit();
    await ended;
    expect(await onPrimary("select count(*) from t where _id in (3200, 3201)")).toBe("2");
  });

  test("end: what runs finishes, what takes too long is cancelled, nothing stays open", async () => {
    const name = `ending-${randomUUID()}`;
    const pool = createPool({ ...servers().options, applicationName: name });
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
