/** The client's table of idempotency keys: there after an installation, made in other databases, granted to a role. */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createPool, OUTCOME_DDL } from "../../src/client/index.ts";
import { install } from "../../src/db/install.ts";
import { PACKAGE_ROOT } from "../../src/db/migration-file.ts";
import { openScratch, type Scratch, type ScratchServer } from "../support/scratch.ts";

let scratch: Scratch;
let server: ScratchServer;
let db: pg.Client;
beforeAll(async () => {
  scratch = await openScratch("outcome");
}, 60_000);
beforeEach(async () => {
  server = await scratch.start();
  db = await server.connect();
});
afterAll(() => scratch.close());

const FILE = join(PACKAGE_ROOT, "sql", "client", "outcome.sql");

/** One write with a key, by such a role: whether it was the first one of that key. */
async function writeOnce(user: string, key: string, database = "postgres"): Promise<boolean> {
  const pool = createPool({ hosts: [server.host], user, database, acquireTimeoutMs: 3000 });
  try {
    const insert = "insert into t values ($1)";
    const { resolved } = await pool.queryResult(insert, [1], { idempotencyKey: key });
    return !resolved;
  } finally {
    await pool.end();
  }
}

const LOGINS = `create table t (id int);
  create role app login; create role stranger login;
  grant pgreplica_client to app; grant insert on t to app, stranger`;

test("a role that was granted it writes once for each key", async () => {
  await install(db, "data");
  await db.query(LOGINS);
  const key = randomUUID();
  expect([await writeOnce("app", key), await writeOnce("app", key)]).toEqual([true, false]);
  expect((await db.query("select count(*)::int as n from t")).rows).toEqual([{ n: 1 }]);
});

test("a role that was not is told what to grant, and its work is not done", async () => {
  await install(db, "data");
  await db.query(LOGINS);
  await expect(writeOnce("stranger", randomUUID())).rejects.toMatchObject({
    code: "42501",
    hint: "grant pgreplica_client to the role of the pool",
  });
  expect((await db.query("select count(*)::int as n from t")).rows).toEqual([{ n: 0 }]);
});

describe("made by hand before the cluster made it", () => {
  test.each([
    ["the client's own words", async () => OUTCOME_DDL],
    ["the package's file", () => readFile(FILE, "utf8")],
  ])("with %s: the keys that are there stay", async (_, text) => {
    await db.query(await text());
    const key = randomUUID();
    await db.query("insert into replica_client.outcome (key) values ($1)", [key]);
    const { migrations } = await install(db, "data");
    expect(migrations).toContain("0002-client-outcome");
    await db.query(LOGINS);
    expect(await writeOnce("app", key)).toBe(false);
    expect(await writeOnce("app", randomUUID())).toBe(true);
  });
});

test("another database gets it from the package's file, which may run again", async () => {
  await install(db, "data");
  await db.query("create database shop");
  const shop = await server.connect("shop");
  const text = await readFile(FILE, "utf8");
  await shop.query(text);
  await shop.query(text);
  await shop.query(LOGINS);
  const key = randomUUID();
  expect(await writeOnce("app", key, "shop")).toBe(true);
  expect(await writeOnce("app", key, "shop")).toBe(false);
});
