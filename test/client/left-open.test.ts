/** A transaction that is not committed leaves nothing behind on its connection, which serves others afterwards. */
import { describe, expect, test } from "vitest";
import { errorOf } from "../support/sql.ts";
import { useOneServer } from "./servers.ts";

const { open, onPrimary } = useOneServer();
const insert = "insert into t (_id) values ($1)";
const rowsOf = (...ids: number[]) =>
  onPrimary(`select array_agg(_id order by _id) from t where _id in (${ids})`);
const BACKEND = "select pg_backend_pid() as pid";

describe("given up after its last statement", () => {
  test("transaction(fn): rolled back, and the next write on that connection is committed", async () => {
    const pool = open({ poolSize: 1 });
    const stop = new AbortController();
    const work = pool.transaction(
      async (tx) => {
        await tx.query(insert, [4000]);
        stop.abort();
      },
      { signal: stop.signal },
    );
    await expect(work).rejects.toMatchObject({ code: "ABORTED" });
    await pool.query(insert, [4001]);
    expect(await rowsOf(4000, 4001)).toBe("{4001}");
  });

  test("begin(): the same, and a rollback afterwards hits nobody else", async () => {
    const pool = open({ poolSize: 1 });
    const stop = new AbortController();
    const given = await pool.begin({ signal: stop.signal });
    await given.query(insert, [4010]);
    stop.abort();
    await expect(given.commit()).rejects.toMatchObject({ code: "ABORTED" });
    const next = await pool.begin();
    await next.query(insert, [4011]);
    await given.rollback();
    await next.commit();
    expect(await rowsOf(4010, 4011)).toBe("{4011}");
  });
});

describe("what becomes of the connection", () => {
  test("one with a transaction still open is not used again", async () => {
    const pool = open({ poolSize: 1 });
    await pool.query("begin");
    await pool.query(insert, [4020]);
    expect(await rowsOf(4020)).toBe("{4020}");
  });

  test("one whose COMMIT failed is: the server has rolled back", async () => {
    const pool = open({ poolSize: 1 });
    await pool.query("create table later (id int references t deferrable initially deferred)");
    const [before] = await pool.query(BACKEND);
    const work = pool.transaction((tx) => tx.query("insert into later values (-1)"));
    expect(await errorOf(work)).toMatchObject({ code: "23503" });
    expect(await pool.query(BACKEND)).toEqual([before]);
    expect(pool.status()).toMatchObject({ size: 1, inUse: 0 });
  });
});
