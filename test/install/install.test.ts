/** Installation by migrations: once, by many, again, after a change, and what it refuses. */
import { appendFile, cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { install } from "../../src/db/install.ts";
import { PACKAGE_ROOT, SQL_OF, withHeader } from "../../src/db/migration-file.ts";
import { openScratch, type Scratch } from "../support/scratch.ts";

let scratch: Scratch;
beforeAll(async () => {
  scratch = await openScratch("install");
}, 60_000);
afterAll(() => scratch.close());

/** A copy of the files that a test may edit. */
async function copyOfFiles(name: string): Promise<string> {
  const root = join(scratch.dir, name);
  for (const folder of ["migrations", "sql"]) {
    await cp(join(PACKAGE_ROOT, folder), join(root, folder), { recursive: true });
  }
  return root;
}

async function freshClient(): Promise<pg.Client> {
  return (await scratch.start()).connect();
}

async function lastMigration(root: string): Promise<string> {
  const names = (await readdir(join(root, "migrations/control"))).sort();
  return (names.at(-1) ?? "").replace(/\.sql$/, "");
}

async function addMigration(root: string, name: string, sql: string): Promise<void> {
  const folder = join(root, "migrations/control");
  const before = await readFile(join(folder, `${await lastMigration(root)}.sql`), "utf8");
  const previous = /^--! Hash: (\S+)$/m.exec(before)?.[1] ?? "";
  const text = `--! Previous: -\n--! Hash: -\n--! Message: a test\n${sql}\n`;
  await writeFile(join(folder, `${name}.sql`), withHeader(previous, text));
}

const booksOf = async (db: pg.Client) => (await db.query("select * from pgreplica.migration")).rows;

describe.each(["control", "data"] as const)("on the %s target", (target) => {
  test("the first run installs everything, the second changes nothing", async () => {
    const db = await freshClient();
    const first = await install(db, target);
    expect(first.migrations[0]).toBe("0000-install");
    expect(first.replaced).toContain("00_schema.sql");
    const books = await booksOf(db);
    expect(await install(db, target)).toEqual({ migrations: [], replaced: [] });
    expect(await booksOf(db)).toEqual(books);
  });
});

test("twenty at once install once", async () => {
  const server = await scratch.start();
  const clients = await Promise.all(Array.from({ length: 20 }, () => server.connect()));
  const runs = await Promise.all(clients.map((client) => install(client, "control")));
  expect(runs.filter(({ migrations }) => migrations.length > 0)).toHaveLength(1);
  expect(runs.filter(({ replaced }) => replaced.length > 0)).toHaveLength(1);
});

describe("when something is lost or changed", () => {
  test("functions that pg_upgrade has lost are installed again", async () => {
    const db = await freshClient();
    await install(db, "data");
    await db.query("drop schema pg_replica cascade");
    const again = await install(db, "data");
    expect(again.migrations).toEqual([]);
    expect(again.replaced).toContain("00_schema.sql");
    expect(await install(db, "data")).toEqual({ migrations: [], replaced: [] });
  });

  test("a function altered by hand is put back", async () => {
    const db = await freshClient();
    await install(db, "control");
    await db.query(
      "create or replace function raft.now() returns timestamptz language sql stable as 'select null::timestamptz'",
    );
    expect((await install(db, "control")).replaced).toContain("10_raft/01_now.sql");
    const { rows } = await db.query("select raft.now() is not null as ticks");
    expect(rows).toEqual([{ ticks: true }]);
  });

  test("our record alone is believed about what was made, not about the files", async () => {
    const root = await copyOfFiles("recorded");
    const db = await freshClient();
    const record = { root, compare: "record" } as const;
    await install(db, "control", record);
    await db.query("drop function raft.boot_id()");
    expect(await install(db, "control", record)).toEqual({ migrations: [], replaced: [] });
    await appendFile(join(root, "sql/10_raft/01_now.sql"), "\n-- changed\n");
    expect((await install(db, "control", record)).replaced).toContain("10_raft/02_boot_id.sql");
  });

  test("a changed file may change its function's result, and one that is gone takes its function along", async () => {
    const root = await copyOfFiles("changed");
    const function_ = (result: string) =>
      `create or replace function raft.odd() returns ${result} language sql as 'select 1::${result}';`;
    await writeFile(join(root, "sql/10_raft/odd.sql"), function_("integer"));
    const db = await freshClient();
    await install(db, "control", { root });
    await writeFile(join(root, "sql/10_raft/odd.sql"), function_("text"));
    await install(db, "control", { root });
    expect((await db.query("select raft.odd() as odd")).rows).toEqual([{ odd: "1" }]);
    await rm(join(root, "sql/10_raft/odd.sql"));
    await install(db, "control", { root });
    await expect(db.query("select raft.odd()")).rejects.toThrow(/does not exist/);
  });

  test("of schema public only what our files made is put back and taken along, whatever it is called", async () => {
    const root = await copyOfFiles("pgraft");
    const db = await freshClient();
    await install(db, "data", { root });
    await db.query(`
      create function public.pgraft_mine() returns integer language sql as 'select 1';
      create or replace function public.pgraft_kv_compact() returns boolean language sql as 'select false'`);
    expect((await install(db, "data", { root })).replaced).toContain(
      "95_pgraft/pgraft_kv_compact.sql",
    );
    await rm(join(root, "sql/95_pgraft/pgraft_kv_compact.sql"));
    const grants = join(root, "sql/95_pgraft/zz_grants.sql");
    const without = (await readFile(grants, "utf8")).replaceAll(
      /\s*public\.pgraft_kv_compact\(\),/g,
      "",
    );
    await writeFile(grants, without);
    await install(db, "data", { root });
    const { rows } = await db.query(
      "select public.pgraft_mine() as mine, to_regproc('public.pgraft_kv_compact') as gone",
    );
    expect(rows).toEqual([{ mine: 1, gone: null }]);
  });

  test("a user's view on one of our functions survives a changed file", async () => {
    const root = await copyOfFiles("users-view");
    const db = await freshClient();
    await install(db, "control", { root });
    await db.query("create view public.theirs as select raft.now() as at");
    await appendFile(join(root, "sql/10_raft/01_now.sql"), "\n-- changed\n");
    expect((await install(db, "control", { root })).replaced).toContain("10_raft/01_now.sql");
    expect((await db.query("select at is not null as ticks from public.theirs")).rows).toEqual([
      { ticks: true },
    ]);
  });

  test("a new migration runs once, after those that ran before", async () => {
    const root = await copyOfFiles("newer");
    const db = await freshClient();
    await install(db, "control");
    await addMigration(root, "9000-later", "create table node.later (id integer);");
    expect((await install(db, "control", { root })).migrations).toEqual(["9000-later"]);
    expect((await install(db, "control", { root })).migrations).toEqual([]);
  });

  test("a migration that fails leaves nothing behind, and the error names its file and line", async () => {
    const root = await copyOfFiles("failing");
    const db = await freshClient();
    await addMigration(root, "9000-bad", "create table node.half (id integer);\nselect no_such();");
    await expect(install(db, "control", { root })).rejects.toThrow(
      /^migrations\/control\/9000-bad\.sql:5: function no_such\(\) does not exist/,
    );
    const { rows } = await db.query("select to_regnamespace('node') as node");
    expect(rows).toEqual([{ node: null }]);
  });
});

describe("refused, with nothing changed:", () => {
  test("a migration edited in the package", async () => {
    const root = await copyOfFiles("edited");
    await appendFile(join(root, "migrations/control/0001-raft.sql"), "-- more\n");
    const refused = install(await freshClient(), "control", { root });
    await expect(refused).rejects.toThrow(
      /^migrations\/control\/0001-raft\.sql says sha256:[0-9a-f]{64}, but is sha256:[0-9a-f]{64}: history was edited$/,
    );
  });

  test("a migration edited and rehashed after it ran", async () => {
    const root = await copyOfFiles("rehashed");
    const db = await freshClient();
    await install(db, "control");
    const last = await lastMigration(root);
    const path = join(root, `migrations/control/${last}.sql`);
    const text = `${await readFile(path, "utf8")}-- more\n`;
    await writeFile(path, withHeader(/Previous: (\S+)/.exec(text)?.[1] ?? "", text));
    await expect(install(db, "control", { root })).rejects.toThrow(
      new RegExp(
        `${last}\\.sql was edited after it ran: it ran as sha256:\\w+, the file is sha256`,
      ),
    );
  });

  test("a schema newer than the program", async () => {
    const root = await copyOfFiles("ahead");
    await addMigration(root, "9000-later", "create table node.later (id integer);");
    const db = await freshClient();
    await install(db, "control", { root });
    await expect(install(db, "control")).rejects.toThrow(
      "the schema is newer than this program: migration control/9000-later is unknown here",
    );
  });

  test("files missing in sql/", async () => {
    const root = await copyOfFiles("missing");
    await rm(join(root, "sql/20_peer"), { recursive: true });
    await mkdir(join(root, "sql/20_peer"));
    const refused = install(await freshClient(), "control", { root });
    await expect(refused).rejects.toThrow("sql/20_peer holds no .sql file");
    await rm(join(root, "sql/90_grants.sql"));
    await cp(join(PACKAGE_ROOT, "sql/20_peer"), join(root, "sql/20_peer"), { recursive: true });
    const again = install(await freshClient(), "control", { root });
    await expect(again).rejects.toThrow("sql/90_grants.sql is missing");
  });

  test("a role that is no superuser", async () => {
    const server = await scratch.start();
    const db = await server.connect();
    await db.query("create role someone login; set role someone");
    await expect(install(db, "control")).rejects.toThrow(
      "only a superuser installs pg_replica; someone is none",
    );
  });
});

/** Not for a target: a script, and what is made in other databases. */
const BESIDE = ["install.sh", "client"];

test("every folder and file under sql/ is loaded by a target", async () => {
  const loaded = new Set(Object.values(SQL_OF).flat());
  const there = (await readdir(join(PACKAGE_ROOT, "sql"))).filter((name) => !BESIDE.includes(name));
  expect(there.filter((name) => !loaded.has(name))).toEqual([]);
});
