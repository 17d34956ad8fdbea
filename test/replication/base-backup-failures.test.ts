/** A base backup that cannot be whole fails, says why, and leaves no doubt about what it left. */
import { closeSync, openSync, writeSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { waitUntil } from "../../src/clock/clock.ts";
import {
  BaseBackupFailed,
  type BaseBackupOptions,
  takeBaseBackup,
} from "../../src/replication/base-backup.ts";
import { run } from "../support/programs.ts";
import { clock, flavours, type Lab, type LabServer, openLab } from "./lab.ts";

describe.each(await flavours())("$name", ({ binDir }) => {
  let lab: Lab;
  let primary: LabServer;
  beforeAll(async () => {
    lab = await openLab(binDir);
    primary = await lab.primary("primary");
    // More than every buffer between the server's files and ours: the middle is a long one.
    await primary.sql(
      "create table big as select repeat('x', 1000) from generate_series(1, 60000)",
    );
    await primary.sql("create role nobody login; checkpoint");
  });
  afterAll(() => lab.close());

  const options = (name: string): BaseBackupOptions => ({
    host: primary.host,
    port: primary.port,
    user: primary.user,
    dir: lab.path(name),
    owner: lab.owner,
    label: name,
    clock,
    signal: new AbortController().signal,
  });
  const refused = (given: BaseBackupOptions) => expect(takeBaseBackup(given)).rejects;

  test("nothing is written over what is there", async () => {
    await mkdir(lab.path("full"));
    await writeFile(lab.path("full/precious"), "data");
    await refused(options("full")).toThrow(/into .*full failed: the directory is not empty/);
    expect(await readdir(lab.path("full"))).toEqual(["precious"]);
  });

  test("a folder that is not there is not made up", async () => {
    await refused(options("missing/below")).toThrow(/ENOENT/);
  });

  test("another cluster's server is refused before a byte is written", async () => {
    const given = { ...options("other"), expectSystemIdentifier: "7000000000000000001" };
    await refused(given).toThrow(/belongs to another cluster: \d+, expected 7000000000000000001/);
    const newer = { ...options("newer"), expectMajor: 99 };
    await refused(newer).toThrow(/the server is PostgreSQL \d\d, this node's programs are 99/);
    expect(await readdir(given.dir)).toEqual([]);
  });

  test("a role without the right is refused in the server's words, SQLSTATE included", async () => {
    await refused({ ...options("norole"), user: "nobody" }).toBeInstanceOf(BaseBackupFailed);
    await refused({ ...options("norole"), user: "nobody" }).toMatchObject({
      message: expect.stringMatching(/must be superuser or replication role|permission denied/),
      cause: { name: "ServerError", code: "42501" },
    });
  });

  test("a label of two lines is refused: it would forge backup_label", async () => {
    const label = "x\nSTART TIMELINE: 9";
    await refused({ ...options("label"), label }).toThrow(/one line of text/);
  });

  test("an abort in the middle ends it, and the server's part too, for its reason", async () => {
    const stop = new AbortController();
    const given = { ...options("aborted"), signal: stop.signal };
    const onProgress = () => stop.abort(new Error("no longer wanted"));
    await refused({ ...given, onProgress }).toThrow("no longer wanted");
    expect(await readdir(given.dir)).not.toEqual([]);
    await noBackupRuns();
  });

  test("a backup that ended badly does not keep the next one from its own directory", async () => {
    await expect(takeBaseBackup(options("next"))).resolves.toMatchObject({ timeline: 1 });
  });

  test("an abort before the beginning leaves nothing", async () => {
    const signal = AbortSignal.abort(new Error("not at all"));
    await refused({ ...options("never"), signal }).toThrow("not at all");
  });

  test("a disk too small is refused before a byte of data is written", async ({ skip }) => {
    const dir = lab.path("tiny");
    await mkdir(dir);
    const mounted = await run("mount", ["-t", "tmpfs", "-o", "size=70m", "tmpfs", dir]);
    skip(mounted.exitCode !== 0, `no small disk can be made here: ${mounted.stderr.trim()}`);
    try {
      await refused({ ...options("tiny/data") }).toThrow(
        /\d+ MB are needed there, \d+ MB are free/,
      );
      expect(await readdir(join(dir, "data"))).toEqual([]);
    } finally {
      await run("umount", [dir]);
    }
  });

  test("a disk that fills up meanwhile ends it: no space left", async ({ skip }) => {
    const dir = lab.path("filling");
    await mkdir(dir);
    const mounted = await run("mount", ["-t", "tmpfs", "-o", "size=200m", "tmpfs", dir]);
    skip(mounted.exitCode !== 0, `no small disk can be made here: ${mounted.stderr.trim()}`);
    try {
      const given = { ...options("filling/data"), onProgress: () => fill(join(dir, "ballast")) };
      await refused(given).toMatchObject({
        message: expect.stringContaining("ENOSPC"),
        cause: { code: "ENOSPC" },
      });
    } finally {
      await run("umount", [dir]);
    }
    await noBackupRuns();
  });

  // The last one: the server is gone afterwards.
  test("a server that dies in the middle is an error, not a short backup", async () => {
    const died = once(() => primary.process.stop("immediate", 20_000));
    const given = { ...options("died"), onProgress: () => void died() };
    await refused(given).toMatchObject({
      message: expect.stringContaining("lost"),
      cause: { name: "ConnectionLost", kind: "closed" },
    });
    await died();
    await refused(options("gone")).toMatchObject({ cause: { kind: "unreachable" } });
  });

  /** The server has noticed: nothing of a backup, no slot, is left there. */
  async function noBackupRuns(): Promise<void> {
    const count = `select (select count(*) from pg_stat_progress_basebackup)
                        + (select count(*) from pg_replication_slots)`;
    const wait = { clock, everyMs: 20, limitMs: 15_000 };
    await waitUntil("the server's part to end", wait, async () => {
      return (await primary.value(count)) === "0";
    });
  }
});

/** Write until nothing fits any more, before anything else can run. */
function fill(path: string): void {
  const megabyte = Buffer.alloc(1024 * 1024);
  const file = openSync(path, "a");
  try {
    for (let written = 0; written < 200; written++) writeSync(file, megabyte);
  } catch (error) {
    expect(error).toMatchObject({ code: "ENOSPC" });
  } finally {
    closeSync(file);
  }
}

/** Do it at the first call; the same answer to every other. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => {
    answer ??= work();
    return answer;
  };
}
