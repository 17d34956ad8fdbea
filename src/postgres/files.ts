/**
 * Files that must survive a power cut: written aside, synced, renamed, and the folder synced too.
 */
import { closeSync, fchmodSync, fchownSync, fsync, openSync, renameSync, writeSync } from "node:fs";
import { access, chmod, chown, mkdir, open, readdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import type { Owner } from "./owner.ts";

export interface FileOptions {
  readonly owner?: Owner | undefined;
  /** Permission bits; files default to 0600, folders to 0700. */
  readonly mode?: number | undefined;
}

let written = 0;
const sync = promisify(fsync);

/** Replace `path` by `text` so that a crash leaves the old or the new content, never a mixture. */
export async function writeDurable(
  path: string,
  text: string | Buffer,
  options: FileOptions = {},
): Promise<void> {
  await replaceFile(path, text, options);
  await syncDirectory(dirname(path));
}

/**
 * The same, up to the point where everyone sees the new text, which is on disk: a crash leaves the old or the new one,
 * and which of them is certain only after `syncDirectory` of its folder.
 *
 * Only the wait for the disk is left to another thread: each step there costs two switches on a busy machine, and a
 * failover waits for these files three times.
 */
export async function replaceFile(
  path: string,
  text: string | Buffer,
  { owner, mode = 0o600 }: FileOptions = {},
): Promise<void> {
  written += 1;
  const aside = `${path}.${process.pid}.${written}.tmp`;
  try {
    const file = openSync(aside, "wx", mode);
    try {
      writeWhole(file, Buffer.from(text));
      fchmodSync(file, mode);
      if (owner !== undefined) fchownSync(file, owner.uid, owner.gid);
      await sync(file);
    } finally {
      closeSync(file);
    }
    renameSync(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
}

/** A full disk may take a part. */
function writeWhole(file: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
}

/** Make `path` and what is missing above it; its owner and mode are set even when it exists. */
export async function makeDirectory(
  path: string,
  { owner, mode = 0o700 }: FileOptions = {},
): Promise<void> {
  await makeMissing(path);
  await chmod(path, mode);
  if (owner !== undefined) await chown(path, owner.uid, owner.gid);
  await syncDirectory(dirname(path));
}

/** One level at a time: where a folder cannot be made (below /proc) Node's own recursion never returns. */
async function makeMissing(path: string): Promise<void> {
  if (await exists(path)) return;
  const above = dirname(path);
  if (above !== path) await makeMissing(above);
  try {
    await mkdir(path);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  }
}

/** Remove a file or a folder with all it holds; durable; absent is fine. */
export async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  if (await exists(dirname(path))) await syncDirectory(dirname(path));
}

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Names in a folder; a missing one is empty, and so is a fresh file system's. */
export async function namesIn(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).filter((name) => name !== "lost+found");
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Whether a folder holds nothing; an absent one does not. */
export async function isEmpty(dir: string): Promise<boolean> {
  return (await namesIn(dir)).length === 0;
}

/** Like `exists`, for looking around: what we may not look into is not there for us. */
export async function isReachable(path: string): Promise<boolean> {
  try {
    return await exists(path);
  } catch (error) {
    if (hasCode(error, "EACCES")) return false;
    throw error;
  }
}

/** Make the names in a folder (created, renamed, removed) survive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Whether an error of the file system says "there is no such file". */
export function isMissing(error: unknown): boolean {
  return hasCode(error, "ENOENT") || hasCode(error, "ENOTDIR");
}

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
