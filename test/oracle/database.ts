/**
 * Databases that hold the real control store's SQL: PGlite, which is PostgreSQL in this very process, or databases of
 * a scratch server. One stands for one node.
 *
 * Two things differ from a node's own store. `raft.boot_id` is read from a table, so that a schedule can reboot; and in
 * PGlite, which has no libpq, the five C functions of dblink raise an error: no acceptor calls them.
 */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import type { ClientBase } from "pg";
import { install } from "../../src/db/install.ts";
import { PACKAGE_ROOT } from "../../src/db/migration-file.ts";
import type { Scratch } from "../support/scratch.ts";
import { limited } from "./limited.ts";
import { connectPglite } from "./pglite-socket.ts";

export interface Database {
  /** As src/db takes it. */
  readonly client: ClientBase;
  close(): Promise<void>;
}

const BOOT = `
  create schema oracle;
  create table oracle.boot (boot_id text not null);
  insert into oracle.boot values ('boot 0');
  create or replace function raft.boot_id() returns text
  language plpgsql stable set search_path = '' as $$
  begin
    return (select b.boot_id from oracle.boot as b);
  end
  $$;
`;

/** What opens a database takes longer than a call. */
const OPEN_MS = 120_000;

export async function openPglite(): Promise<Database> {
  const pglite = await limited("PGlite's start", PGlite.create(), OPEN_MS);
  const client = await limited("a connection to PGlite", connectPglite(pglite));
  const installed = withoutDblink((root) => install(client, "control", { root }));
  await limited("PGlite's installation", installed, OPEN_MS);
  await limited("PGlite's boot id", client.query(BOOT));
  const close = async () => {
    await limited("the end of the connection to PGlite", client.end());
    await limited("PGlite's end", pglite.close());
  };
  return { client, close };
}

/** Databases of one scratch server, each with the real store. */
export async function openDatabases(scratch: Scratch, count: number): Promise<Database[]> {
  const server = await scratch.start();
  const first = await server.connect();
  await limited("the server's installation", install(first, "control"), OPEN_MS);
  await limited("the server's boot id", first.query(BOOT));
  await limited("the end of the first connection", first.end());
  const admin = await server.connect("template1");
  const databases: Database[] = [];
  for (let id = 1; id <= count; id++) {
    const created = admin.query(`create database node${id} template postgres`);
    await limited(`database node${id}`, created, OPEN_MS);
    const client = await server.connect(`node${id}`);
    const close = () => limited(`the end of the connection to node${id}`, client.end());
    databases.push({ client, close });
  }
  return databases;
}

/** Run with a copy of the package's SQL in which dblink's functions are bound to an error. */
async function withoutDblink(work: (root: string) => Promise<unknown>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "pgr-oracle-"));
  try {
    for (const folder of ["migrations", "sql"]) {
      await cp(join(PACKAGE_ROOT, folder), join(root, folder), { recursive: true });
    }
    const path = join(root, "sql/05_pgreplica/01_dblink.sql");
    const body =
      "language plpgsql volatile as $$ begin raise 'no dblink in this database'; end $$;";
    const text = await readFile(path, "utf8");
    const bound = text.replaceAll(
      /^language c volatile(?: strict)? as '\$libdir\/dblink'.*;$/gm,
      () => body,
    );
    if (bound === text) throw new Error("sql/05_pgreplica/01_dblink.sql binds nothing any more");
    await writeFile(path, bound);
    await work(root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
