/** The files an installation is made of: migrations with their hash chain, and the files under `sql/`. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export type Target = "control" | "data";

/** The folder that holds `migrations/` and `sql/`: the same distance from `src/db` and `dist/db`. */
export const PACKAGE_ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What a target loads of `sql/`, in this order; a folder loads in the order of its file names. */
export const SQL_OF: Readonly<Record<Target, readonly string[]>> = {
  control: [
    "00_schema.sql",
    "05_pgreplica",
    "10_raft",
    "20_peer",
    "30_cluster",
    "35_node",
    "40_pg_replica",
    "70_calls",
    "90_grants.sql",
    "95_pgraft",
  ],
  data: [
    "00_schema.sql",
    "05_pgreplica",
    "60_data_server",
    "65_monitoring",
    "70_calls",
    "95_pgraft",
  ],
};

export interface Migration {
  /** The file's name without `.sql`. */
  readonly name: string;
  /** Of the migration before it; `-` for the first. */
  readonly previous: string;
  /** What the header says. */
  readonly hash: string;
  readonly text: string;
}

export interface SqlFile {
  /** Below `sql/`, with forward slashes. */
  readonly path: string;
  readonly hash: string;
  readonly text: string;
}

/** The installation cannot go on; nothing was changed. The message names the file and what is wrong. */
export class InstallRefused extends Error {
  override readonly name = "InstallRefused";
}

export function sha256(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

const HEADER = /^--! Previous: (\S+)\n--! Hash: (\S+)\n(?=--! Message: \S)/;

/** The hash a migration must carry: over the hash before it and all below the first two lines. */
export function migrationHash(previous: string, text: string): string {
  return sha256(`${previous}\n${text.replace(HEADER, "")}`);
}

/** The same text with its first two lines set. */
export function withHeader(previous: string, text: string): string {
  if (!HEADER.test(text))
    throw new InstallRefused("a migration begins with Previous, Hash, Message");
  const hash = migrationHash(previous, text);
  return text.replace(HEADER, `--! Previous: ${previous}\n--! Hash: ${hash}\n`);
}

/** All migrations of a target, in order, the chain verified. Throws InstallRefused. */
export async function readMigrations(target: Target, root = PACKAGE_ROOT): Promise<Migration[]> {
  const folder = join(root, "migrations", target);
  const migrations: Migration[] = [];
  for (const file of await sqlFilesIn(folder)) {
    const text = await readFile(join(folder, file), "utf8");
    const path = `migrations/${target}/${file}`;
    const [, previous, hash] = HEADER.exec(text) ?? [];
    if (previous === undefined || hash === undefined) {
      throw new InstallRefused(`${path} does not begin with Previous, Hash, Message`);
    }
    const before = migrations.at(-1)?.hash ?? "-";
    if (previous !== before) {
      throw new InstallRefused(
        `${path} follows ${previous}, but the migration before it is ${before}: history was edited`,
      );
    }
    const real = migrationHash(previous, text);
    if (real !== hash) {
      throw new InstallRefused(`${path} says ${hash}, but is ${real}: history was edited`);
    }
    migrations.push({ name: file.replace(/\.sql$/, ""), previous, hash, text });
  }
  if (migrations.length === 0) throw new InstallRefused(`no migration in ${folder}`);
  return migrations;
}

/** All files of `sql/` that a target loads, in order. Throws InstallRefused where one is missing. */
export async function readSqlFiles(target: Target, root = PACKAGE_ROOT): Promise<SqlFile[]> {
  const paths: string[] = [];
  for (const entry of SQL_OF[target]) {
    if (entry.endsWith(".sql")) {
      paths.push(entry);
      continue;
    }
    const files = await sqlFilesIn(join(root, "sql", entry));
    if (files.length === 0) throw new InstallRefused(`sql/${entry} holds no .sql file`);
    paths.push(...files.map((file) => `${entry}/${file}`));
  }
  return Promise.all(
    paths.map(async (path) => {
      const text = await readIfThere(join(root, "sql", path));
      if (text === undefined) throw new InstallRefused(`sql/${path} is missing`);
      return { path, hash: sha256(text), text };
    }),
  );
}

async function sqlFilesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(whenMissing(() => [] as string[]));
  return names.filter((name) => name.endsWith(".sql")).sort();
}

function readIfThere(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch(whenMissing(() => undefined));
}

/** A file that is not there is an answer; any other failure is one. */
function whenMissing<T>(otherwise: () => T): (error: unknown) => T {
  return (error) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return otherwise();
    throw error;
  };
}
