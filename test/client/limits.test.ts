/** A caller's limit holds wherever he waits: not for the answer to his statement alone. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Pool } from "../../src/client/index.ts";
import { errorOf } from "../support/sql.ts";
import { type LossyProxy, openProxy } from "./proxy.ts";
import { useOneServer } from "./servers.ts";

const { open, onPrimary, servers } = useOneServer();
let proxy: LossyProxy;
let pool: Pool;
beforeEach(async () => {
  const [server] = servers().all;
  if (server === undefined) throw new Error("no server");
  proxy = await openProxy(server);
  pool = open({ hosts: [`127.0.0.1:${proxy.port}`], tls: { mode: "disable" }, poolSize: 2 });
  await pool.query("select 'ready'");
});
afterEach(() => proxy.close());

const WITHIN = { timeoutMs: 300 };

describe("around a statement, when no answer comes any more", () => {
  test("SET before a read", async () => {
    proxy.lose("voice", "set default_transaction_read_only");
    const read = pool.query("select 1", [], { ...WITHIN, mode: "any" });
    await expect(read).rejects.toMatchObject({ code: "TIMEOUT" });
  });

  test("BEGIN, of transaction() and of begin()", async () => {
    proxy.lose("voice", "begin\0");
    await expect(pool.transaction(async () => 1, WITHIN)).rejects.toMatchObject({
      code: "TIMEOUT",
    });
    proxy.lose("voice", "begin\0");
    await expect(pool.begin(WITHIN)).rejects.toMatchObject({ code: "TIMEOUT" });
  });

  test("ROLLBACK, of what fn has thrown and of what came too late", async () => {
    proxy.lose("voice", "rollback\0");
    const own = new Error("mine");
    const work = pool.transaction(() => Promise.reject(own), WITHIN);
    expect(await errorOf(work)).toBe(own);
    const stop = new AbortController();
    proxy.lose("voice", "rollback\0");
    const late = pool.transaction(async () => stop.abort(), { signal: stop.signal });
    await expect(late).rejects.toMatchObject({ code: "ABORTED" });
  });

  test("the question whether a connection that was idle lives", async () => {
    const other = await pool.begin();
    await pool.query("select 'used'"); // on another one, which is idle from here on
    await other.query("select pg_sleep(1.1)");
    proxy.lose("voice", "select 1\0");
    await expect(pool.query("select 2", [], WITHIN)).rejects.toMatchObject({ code: "TIMEOUT" });
    await other.rollback();
    expect(proxy.losses).toBe(1);
  });
});

test("a function that waits for something else: the transaction is rolled back, the session closed", async () => {
  let late: Promise<Error> | undefined;
  const work = pool.transaction(async (tx) => {
    await tx.query("insert into t (_id) values (5000)");
    await new Promise<void>((resolve) => {
      late = new Promise((told) => {
        setTimeout(() => {
          resolve();
          told(errorOf(tx.query("select 1")));
        }, 600);
      });
    });
  }, WITHIN);
  await expect(work).rejects.toMatchObject({ code: "TIMEOUT" });
  expect(await onPrimary("select count(*) from t where _id = 5000")).toBe("0");
  expect(await late).toMatchObject({ code: "TX_LOST" });
  const session = pool.session(() => new Promise<void>(() => undefined), WITHIN);
  await expect(session).rejects.toMatchObject({ code: "TIMEOUT" });
  expect(pool.status()).toMatchObject({ inUse: 0 });
});
