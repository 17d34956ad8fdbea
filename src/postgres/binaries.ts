/**
 * Find PostgreSQL's programs: where the configuration says, on PATH, where packages put them, or
 * the embedded ones.
 */
import { realpath } from "node:fs/promises";
import { join } from "node:path";
import { EmbeddedUnusable, embeddedDirectory, readableEmbedded } from "./embedded.ts";
import { isReachable } from "./files.ts";
import { candidateDirectories, lacksDblink } from "./install-folders.ts";
import type { Owner } from "./owner.ts";
import { RunFailed, runProgram } from "./run.ts";

/**
 * One installation of PostgreSQL; at least `postgres`, `initdb` and the extension dblink are there.
 */
export interface Binaries {
  /** Absolute, links resolved. */
  readonly dir: string;
  readonly major: number;
  /** As PostgreSQL prints it: `15.18`. */
  readonly version: string;
  readonly embedded: boolean;
  /** The path of a program; that it exists is certain only of `postgres` and `initdb`. */
  program(name: string): string;
}

export interface FindOptions {
  /** A folder, or `embedded`; undefined means look everywhere. */
  readonly binDir?: string | undefined;
  readonly owner?: Owner | undefined;
  /** Where the embedded programs are copied, once, when `owner` cannot run them in place. */
  readonly copyEmbeddedTo?: string | undefined;
}

/** No usable installation: what was tried, why each was refused, how to install one. */
export class BinariesNotFound extends Error {
  override readonly name = "BinariesNotFound";
}

const OLDEST_MAJOR = 15;
/** Newer ones are tried last: their files may have changed. */
const NEWEST_KNOWN_MAJOR = 18;
const LIMIT_MS = 10_000;

/**
 * The first usable installation. Packages' folders are tried newest supported version first, after
 * PATH; the embedded programs last. Throws `BinariesNotFound`.
 */
export async function findBinaries(options: FindOptions = {}): Promise<Binaries> {
  const { binDir, owner } = options;
  const refused: string[] = [];
  for (const dir of binDir === "embedded" ? [] : await toTry(binDir)) {
    const found = await check(dir, { owner, embedded: false });
    if (typeof found !== "string") return found;
    refused.push(`${dir}: ${found}`);
  }
  if (binDir === undefined || binDir === "embedded") {
    const found = await findEmbedded(options);
    if (typeof found !== "string") return found;
    refused.push(`embedded: ${found}`);
  }
  throw new BinariesNotFound(explain(binDir, refused));
}

/** A configured folder may be given as the installation's root. */
async function toTry(binDir: string | undefined): Promise<string[]> {
  if (binDir !== undefined) return [binDir, join(binDir, "bin")];
  return candidateDirectories(OLDEST_MAJOR, NEWEST_KNOWN_MAJOR);
}

/** The installation in `dir`, or why it cannot be used. */
async function check(
  dir: string,
  { owner, embedded }: { readonly owner: Owner | undefined; readonly embedded: boolean },
): Promise<Binaries | string> {
  if (!(await isReachable(join(dir, "postgres")))) return "there is no program postgres";
  // PATH may hold a link to the server alone; its companions stand where it points to.
  const real = join(await realpath(join(dir, "postgres")), "..");
  if (!(await isReachable(join(real, "initdb"))))
    return "there is no program initdb beside postgres";
  const version = await versionOf(join(real, "postgres"), owner);
  if (version === undefined)
    return `its postgres --version cannot be run by ${owner?.name ?? "us"}`;
  const major = Number.parseInt(version, 10);
  if (major < OLDEST_MAJOR) return `version ${version} is older than ${OLDEST_MAJOR}`;
  if (await lacksDblink(real, major)) {
    return `version ${version} lacks the extension dblink (package postgresql-contrib)`;
  }
  return { dir: real, major, version, embedded, program: (name) => join(real, name) };
}

async function versionOf(program: string, owner: Owner | undefined): Promise<string | undefined> {
  try {
    const { stdout } = await runProgram(program, ["--version"], { owner, limitMs: LIMIT_MS });
    return /^postgres \(PostgreSQL\) (\d+\S*)/.exec(stdout)?.[1];
  } catch (error) {
    // Not readable for the owner, or built for another system: the next candidate may be better.
    if (error instanceof RunFailed) return undefined;
    throw error;
  }
}

async function findEmbedded({ owner, copyEmbeddedTo }: FindOptions): Promise<Binaries | string> {
  const dir = embeddedDirectory();
  if (dir === undefined) return `no npm package for ${process.platform}-${process.arch} installed`;
  const runs = async (at: string) =>
    typeof (await check(at, { owner, embedded: true })) !== "string";
  try {
    return await check(await readableEmbedded(dir, { owner, copyTo: copyEmbeddedTo, runs }), {
      owner,
      embedded: true,
    });
  } catch (error) {
    if (error instanceof EmbeddedUnusable) return error.message;
    throw error;
  }
}

function explain(binDir: string | undefined, refused: readonly string[]): string {
  const asked = binDir === undefined ? "" : ` (bin_dir: ${binDir})`;
  return [
    `PostgreSQL ${OLDEST_MAJOR} or newer was not found${asked}. Tried:`,
    ...refused.map((line) => `  ${line}`),
    "To install it:",
    "  Debian, Ubuntu  apt-get install postgresql",
    "  RHEL, Fedora    dnf install postgresql-server postgresql-contrib",
    "  macOS           brew install postgresql@17",
    "  from npm        npm install --include=optional, bin_dir: embedded",
    "or set bin_dir to the folder that holds postgres and initdb.",
  ].join("\n");
}
