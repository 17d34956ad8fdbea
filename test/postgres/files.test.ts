/** Files and folders that must survive a power cut. */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeDirectory } from "../../src/postgres/files.ts";

let top = "";
beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), "pgr-files-"));
});
afterAll(() => rm(top, { recursive: true, force: true }));

test("a folder is made with what is missing above it, and its mode is set each time", async () => {
  const path = join(top, "a", "b", "c");
  await Promise.all([makeDirectory(path, { mode: 0o700 }), makeDirectory(path, { mode: 0o700 })]);
  expect((await stat(path)).mode & 0o777).toBe(0o700);
  await makeDirectory(path, { mode: 0o750 });
  expect((await stat(path)).mode & 0o777).toBe(0o750);
});

test("where no folder can be made the error comes at once", async () => {
  await expect(makeDirectory("/proc/nowhere/below")).rejects.toThrow(/ENOENT|EACCES|EPERM/);
}, 5000);
