/** Prepared statements as one message: pg's own answers and errors, on a client and on a pool, again and again. */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runPrepared } from "../../src/db/prepared.ts";
import { openScratch, type Scratch, type ScratchServer } from "../support/scratch.ts";

let scratch: Scratch;
let server: ScratchServer;

beforeAll(async () => {
  scratch = await openScratch("prepared");
  server = await scratch.start();
});
afterAll(() => scratch?.close());

const EVERY_TYPE = {
  name: "every_type",
  text: `select $1::int8 as big, $2::int4 as small, $3::boolean as yes, $4::text as word, $5::jsonb as list,
                null::text as nothing, '0/16B3748'::pg_lsn as lsn, '{1,2}'::int4[] as many
           from generate_series(1, $6::int4)`,
  values: [2n ** 60n, -7, true, "π ' \\ \n", JSON.stringify([{ a: 1 }]), 2],
};
const DIVIDE = { name: "divide", text: "select 10 / $1::int4 as result" };

describe("runPrepared", () => {
  test("answers what pg answers, the first time and when the columns are known", async () => {
    const db = await server.connect();
    const { rows } = await db.query({ text: EVERY_TYPE.text, values: [...EVERY_TYPE.values] });
    expect(rows).toHaveLength(2);
    for (let turn = 0; turn < 3; turn += 1) {
      expect(await runPrepared(db, EVERY_TYPE)).toEqual(rows);
    }
    const prepared = await db.query("select name from pg_prepared_statements");
    expect(prepared.rows).toEqual([{ name: "every_type" }]);
  });

  test("rejects with the server's error, and the connection goes on", async () => {
    const db = await server.connect();
    const by = (number: number) => runPrepared(db, { ...DIVIDE, values: [number] });
    await expect(by(0)).rejects.toMatchObject({ code: "22012" });
    expect(await by(5)).toEqual([{ result: 2 }]);
    await expect(by(0)).rejects.toBeInstanceOf(pg.DatabaseError);
    expect(await by(2)).toEqual([{ result: 5 }]);
    const broken = runPrepared(db, { name: "broken", text: "select no_such_column", values: [] });
    await expect(broken).rejects.toMatchObject({ code: "42703" });
    expect(await by(1)).toEqual([{ result: 10 }]);
  });

  test("as many parameters as the protocol counts; more are refused before anything is sent", async () => {
    const db = await server.connect();
    const count = (n: number) => {
      const places = Array.from({ length: n }, (_, i) => `$${i + 1}`).join();
      const text = `select cardinality(array[${places}]::int[]) as n`;
      return runPrepared(db, { name: `count_${n}`, text, values: Array(n).fill(1) });
    };
    expect(await count(40_000)).toEqual([{ n: 40_000 }]);
    await expect(count(65_536)).rejects.toThrow("65536 parameters");
    expect(await count(1)).toEqual([{ n: 1 }]);
  });

  test("a name stands for one statement, pg's own use of it included", async () => {
    const db = await server.connect();
    await runPrepared(db, { ...DIVIDE, values: [1] });
    const other = runPrepared(db, { name: DIVIDE.name, text: "select 1", values: [] });
    await expect(other).rejects.toThrow("divide is the name of another statement");
    expect(await runPrepared(db, { ...DIVIDE, values: [null] })).toEqual([{ result: null }]);
    const { rows } = await db.query({ ...DIVIDE, values: ["2"] });
    expect(rows).toEqual([{ result: 5 }]);
    expect(await runPrepared(db, { ...DIVIDE, values: [2] })).toEqual(rows);
  });

  test("questions asked at once are answered each, also by a pool that is smaller", async () => {
    const pool = new pg.Pool({ host: server.host, port: server.port, user: "postgres", max: 2 });
    try {
      const numbers = [1, 2, 5, 10];
      const answers = numbers.map((number) => runPrepared(pool, { ...DIVIDE, values: [number] }));
      const expected = numbers.map((number) => [{ result: 10 / number }]);
      expect(await Promise.all(answers)).toEqual(expected);
    } finally {
      await pool.end();
    }
  });

  test("a broken connection and a statement over its limit reject", async () => {
    const db = new pg.Client({
      host: server.host,
      port: server.port,
      user: "postgres",
      query_timeout: 200,
    });
    db.on("error", () => undefined);
    await db.connect();
    const sleep = { name: "sleep", text: "select pg_sleep($1) is null as slept" };
    await expect(runPrepared(db, { ...sleep, values: [1] })).rejects.toThrow("timeout");
    await db.end();
    await expect(runPrepared(db, { ...sleep, values: [0] })).rejects.toThrow("closed");
  });
});
