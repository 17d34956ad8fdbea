/** Installs and upgrades our schemas: migrations once and in order, then `sql/` whenever it changed. */
import type { ClientBase } from "pg";
import { z } from "zod";
import { callMany, callOne, run } from "./call.ts";
import {
  InstallRefused,
  type Migration,
  PACKAGE_ROOT,
  readMigrations,
  readSqlFiles,
  type SqlFile,
  type Target,
} from "./migration-file.ts";
import { dropWhatSqlMade, grantAgain, usersGrants } from "./replace.ts";

export { InstallRefused, type Target } from "./migration-file.ts";

export interface Installed {
  /** Names of the migrations that ran now, in order. */
  readonly migrations: readonly string[];
  /** Paths below `sql/` that were applied now: all of the target's, or none. */
  readonly replaced: readonly string[];
}

export interface InstallOptions {
  readonly root?: string;
  /**
   * What tells that nothing is to be done: the catalog itself, which is a tenth of a second of work, or our record of
   * it. The record is enough for a server whose run began under a worker that compared the catalog.
   */
  readonly compare?: "catalog" | "record";
}

const Nothing = z.unknown();
const Recorded = z.object({ name: z.string(), hash: z.string() });
const RecordedFile = z.object({ path: z.string(), hash: z.string() });
const Flag = z.object({ yes: z.boolean() });
const Role = z.object({ role: z.string(), superuser: z.boolean() });

/**
 * Bring a server to what this package holds, in one transaction, under one lock: any number may run at once, and a
 * run that finds all in place changes nothing. `db` is a superuser's connection outside any transaction.
 * Throws InstallRefused, having changed nothing, when files or recorded history do not fit.
 */
export async function install(
  db: ClientBase,
  target: Target,
  { root = PACKAGE_ROOT, compare = "catalog" }: InstallOptions = {},
): Promise<Installed> {
  const migrations = await readMigrations(target, root);
  const files = await readSqlFiles(target, root);
  await run(db, { text: "begin" });
  try {
    await prepare(db);
    const ran = await migrate(db, target, migrations);
    const inPlace =
      ran.length === 0 &&
      (await isRecorded(db, target, files)) &&
      (compare === "record" || (await isUnaltered(db, target)));
    const replaced = inPlace ? [] : await replaceSql(db, target, files);
    await run(db, { text: "commit" });
    return { migrations: ran, replaced };
  } catch (error) {
    // The first error is the one to tell; a lost connection has rolled back by itself.
    await db.query("rollback").catch(() => undefined);
    throw error;
  }
}

/** The lock that `sql/install.sh` takes too; nobody's time limits or search path take part. */
async function prepare(db: ClientBase): Promise<void> {
  await run(db, {
    text: `
      set local statement_timeout = 0;
      set local lock_timeout = 0;
      set local idle_in_transaction_session_timeout = 0;
      set local client_min_messages = warning;
      set local search_path = '';
      set local check_function_bodies = off`,
  });
  const { role, superuser } = await callOne(db, Role, {
    text: `select current_user as role, r.rolsuper as superuser
             from pg_catalog.pg_roles r where r.rolname = current_user`,
  });
  if (!superuser) {
    throw new InstallRefused(`only a superuser installs pg_replica; ${role} is none`);
  }
  await callOne(db, Nothing, { text: "select pg_catalog.pg_advisory_xact_lock(7307460, 1)" });
}

async function migrate(
  db: ClientBase,
  target: Target,
  migrations: readonly Migration[],
): Promise<string[]> {
  const recorded = await recordedMigrations(db, target);
  recorded.forEach(({ name, hash }, position) => {
    const known = migrations.find((migration) => migration.name === name);
    if (known === undefined) {
      throw new InstallRefused(
        `the schema is newer than this program: migration ${target}/${name} is unknown here; install the newer version`,
      );
    }
    if (known.hash !== hash) {
      throw new InstallRefused(
        `migrations/${target}/${name}.sql was edited after it ran: it ran as ${hash}, the file is ${known.hash}`,
      );
    }
    if (migrations[position]?.name !== name) {
      throw new InstallRefused(
        `migrations/${target}/${migrations[position]?.name}.sql never ran, but ${name}, which comes after it, did`,
      );
    }
  });
  const missing = migrations.slice(recorded.length);
  for (const migration of missing) {
    await apply(db, `migrations/${target}/${migration.name}.sql`, migration.text);
    await run(db, {
      text: "insert into pgreplica.migration (target, name, hash) values ($1, $2, $3)",
      values: [target, migration.name, migration.hash],
    });
  }
  return missing.map(({ name }) => name);
}

async function recordedMigrations(db: ClientBase, target: Target) {
  const { yes } = await callOne(db, Flag, {
    text: "select pg_catalog.to_regclass('pgreplica.migration') is not null as yes",
  });
  if (!yes) return [];
  return callMany(db, Recorded, {
    text: `select name, hash from pgreplica.migration where target = $1 order by name collate "C"`,
    values: [target],
  });
}

/** All files or none: bodies depend on each other in ways the catalog does not record. */
async function replaceSql(
  db: ClientBase,
  target: Target,
  files: readonly SqlFile[],
): Promise<string[]> {
  const grants = await usersGrants(db);
  await dropWhatSqlMade(db);
  for (const file of files) await apply(db, `sql/${file.path}`, file.text);
  await grantAgain(db, grants);
  await run(db, { text: "delete from pgreplica.sql_file where target = $1", values: [target] });
  await run(db, {
    text: `insert into pgreplica.sql_file (target, path, hash)
           select $1, f.path, f.hash from unnest($2::text[], $3::text[]) as f (path, hash)`,
    values: [target, files.map(({ path }) => path), files.map(({ hash }) => hash)],
  });
  await run(db, { text: "select pgreplica.check_bodies()" });
  await run(db, {
    text: `insert into pgreplica.catalog (target, fingerprint) values ($1, pgreplica.fingerprint())
           on conflict (target) do update set fingerprint = excluded.fingerprint`,
    values: [target],
  });
  return files.map(({ path }) => path);
}

/** The same files were applied before. */
async function isRecorded(
  db: ClientBase,
  target: Target,
  files: readonly SqlFile[],
): Promise<boolean> {
  const recorded = await callMany(db, RecordedFile, {
    text: `select path, hash from pgreplica.sql_file where target = $1 order by path collate "C"`,
    values: [target],
  });
  const hashes = new Map(recorded.map(({ path, hash }) => [path, hash]));
  return hashes.size === files.length && files.every(({ path, hash }) => hashes.get(path) === hash);
}

/** All that was applied is still there, as it was made. */
async function isUnaltered(db: ClientBase, target: Target): Promise<boolean> {
  const { yes: hasFingerprint } = await callOne(db, Flag, {
    text: "select pg_catalog.to_regprocedure('pgreplica.fingerprint()') is not null as yes",
  });
  if (!hasFingerprint) return false;
  const { yes } = await callOne(db, Flag, {
    text: `select exists (select from pgreplica.catalog c
                           where c.target = $1 and c.fingerprint = pgreplica.fingerprint()) as yes`,
    values: [target],
  });
  return yes;
}

async function apply(db: ClientBase, path: string, text: string): Promise<void> {
  try {
    await db.query(text);
  } catch (error) {
    const { message, position } = error as { message: string; position?: string };
    const line =
      position === undefined ? "" : `:${text.slice(0, Number(position)).split("\n").length}`;
    throw new Error(`${path}${line}: ${message}`, { cause: error });
  }
}
