/** Make a new data directory: checksums on, UTF8, superuser `postgres`. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Binaries } from "./binaries.ts";
import { makeDirectory, removeTree, writeDurable } from "./files.ts";
import type { Owner } from "./owner.ts";
import { runProgram } from "./run.ts";

export interface InitdbOptions {
  /** Absent or empty. */
  readonly dir: string;
  readonly owner: Owner | undefined;
  /** A power of two; PostgreSQL's default is 16. */
  readonly walSegmentMb?: number;
  readonly superuserPassword?: string | undefined;
}

export class InitdbFailed extends Error {
  override readonly name = "InitdbFailed";
}

const LIMIT_MS = 120_000;

/**
 * Run `initdb` to a synced data directory. The auth files it writes admit the owner over the local
 * socket and nobody else without a password: they are placeholders until ours stand in `hba_file`.
 * Checksums make pg_rewind possible (H37).
 */
export async function initdb(
  binaries: Binaries,
  { dir, owner, walSegmentMb, superuserPassword }: InitdbOptions,
): Promise<void> {
  await makeDirectory(dir, { owner });
  const passwordFile = `${dir}.password`;
  const locale = process.platform === "linux" ? "C.UTF-8" : "C";
  const args = ["--pgdata", dir, "--username=postgres", "--data-checksums", "--encoding=UTF8"];
  args.push(`--locale=${locale}`, "--auth-local=peer", "--no-instructions");
  args.push(`--auth-host=${superuserPassword === undefined ? "reject" : "scram-sha-256"}`);
  if (walSegmentMb !== undefined) args.push(`--wal-segsize=${walSegmentMb}`);
  if (superuserPassword !== undefined) args.push(`--pwfile=${passwordFile}`);
  try {
    if (superuserPassword !== undefined) {
      await writeDurable(passwordFile, `${superuserPassword}\n`, { owner });
    }
    const program = binaries.program("initdb");
    const { exitCode, stderrTail } = await runProgram(program, args, { owner, limitMs: LIMIT_MS });
    if (exitCode !== 0) {
      throw new InitdbFailed(`${program} of ${dir} failed: exit ${exitCode}: ${stderrTail}`);
    }
    await dropManual(join(dir, "postgresql.conf"), owner);
  } finally {
    await removeTree(passwordFile);
  }
}

const HEAD =
  "# What initdb chose here. Every parameter is described in the installation's postgresql.conf.sample.";

/** A reload, which a failover waits for, has every process of the server read the file: 30 kB of it are a manual. */
async function dropManual(path: string, owner: Owner | undefined): Promise<void> {
  const lines = (await readFile(path, "utf8")).split("\n");
  const set = lines.filter((line) => !/^\s*(#|$)/.test(line));
  await writeDurable(path, `${[HEAD, ...set].join("\n")}\n`, { owner });
}
