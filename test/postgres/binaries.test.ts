import { chmod, cp, mkdir, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { BinariesNotFound, findBinaries } from "../../src/postgres/binaries.ts";
import { readableEmbedded } from "../../src/postgres/embedded.ts";
import { exists } from "../../src/postgres/files.ts";
import { lacksDblink } from "../../src/postgres/install-folders.ts";
import { serverOwner } from "../../src/postgres/owner.ts";
import { runProgram } from "../../src/postgres/run.ts";
import { skip } from "../support/skip.ts";
import { cleanUp, embedded, installed, owner, workDir } from "./support.ts";

afterAll(cleanUp);

test("what is found is complete, and says its version", async () => {
  expect(installed.major).toBeGreaterThanOrEqual(15);
  expect(installed.version).toMatch(new RegExp(`^${installed.major}[.]`));
  for (const name of ["postgres", "initdb"]) {
    expect(await exists(installed.program(name))).toBe(true);
  }
});

test("embedded forces the programs from npm", () => {
  expect(embedded).toMatchObject({ embedded: true, major: 17 });
});

test("a link to the server alone leads to the folder with its companions", async () => {
  const dir = join(workDir, "link");
  await mkdir(dir);
  await symlink(installed.program("postgres"), join(dir, "postgres"));
  expect((await findBinaries({ binDir: dir, owner })).dir).toBe(installed.dir);
});

test("a folder that cannot be used is named with the reason and a way to install", async () => {
  const failure = await findBinaries({ binDir: "/nonexistent", owner }).catch((error) => error);
  expect(failure).toBeInstanceOf(BinariesNotFound);
  expect(failure.message).toContain("(bin_dir: /nonexistent)");
  expect(failure.message).toContain("/nonexistent: there is no program postgres");
  expect(failure.message).toContain("apt-get install postgresql");
});

test.each([
  {
    title: "too old",
    programs: { postgres: "echo 'postgres (PostgreSQL) 14.9'", initdb: "" },
    why: "older than 15",
  },
  {
    title: "without initdb",
    programs: { postgres: "echo 'postgres (PostgreSQL) 16.1'" },
    why: "no program initdb",
  },
  { title: "broken", programs: { postgres: "kill -9 $$", initdb: "" }, why: "cannot be run by" },
])("an installation that is $title is refused", async ({ title, programs, why }) => {
  const dir = await fakeInstallation(title, programs);
  await expect(findBinaries({ binDir: dir, owner })).rejects.toThrow(why);
});

test("an installation without dblink is refused", async () => {
  const dir = await fakeInstallation("no-dblink/bin", {
    postgres: "echo 'postgres (PostgreSQL) 16.1'",
    initdb: "",
  });
  const extensions = join(dir, "../share/extension");
  await mkdir(extensions, { recursive: true });
  await writeFile(join(extensions, "plpgsql.control"), "");
  await expect(findBinaries({ binDir: dir, owner })).rejects.toThrow("lacks the extension dblink");
  await writeFile(join(extensions, "dblink.control"), "");
  expect(await lacksDblink(dir, 16)).toBe(false);
});

test("an owner who cannot reach the embedded programs gets one complete copy", async () => {
  const root = join(workDir, "private", "package");
  await mkdir(dirname(root), { mode: 0o700 });
  await cp(join(embedded.dir, "../.."), root, { recursive: true, verbatimSymlinks: true });
  // As npm leaves it when told to run no scripts.
  await rm(join(root, "native/lib/libpq.so.5"), { force: true });
  const options = { owner, copyTo: join(workDir, "copies"), runs: (dir: string) => runs(dir) };
  const dirs = await Promise.all(
    [1, 2, 3].map(() => readableEmbedded(join(root, "native/bin"), options)),
  );

  const [dir = ""] = dirs;
  expect(new Set(dirs).size).toBe(1);
  expect(await runs(dir)).toBe(true);
  if (owner === undefined) return;
  expect(dir.startsWith(options.copyTo)).toBe(true);
  expect(await readdir(options.copyTo)).toHaveLength(1);
  expect((await stat(join(dir, "postgres"))).uid).toBe(owner.uid);
});

test("run_as must exist, and must not be root", async (context) => {
  if (process.getuid?.() !== 0) return skip(context, "run_as counts only for root");
  await expect(serverOwner("nobody-of-that-name")).rejects.toThrow("there is no OS user");
  await expect(serverOwner("root")).rejects.toThrow("refuses to run as root");
});

async function runs(dir: string): Promise<boolean> {
  const asked = runProgram(join(dir, "initdb"), ["--version"], { owner, limitMs: 5000 });
  return asked.then(
    ({ exitCode }) => exitCode === 0,
    () => false,
  );
}

async function fakeInstallation(name: string, programs: Record<string, string>): Promise<string> {
  const dir = join(workDir, name);
  await mkdir(dir, { recursive: true });
  for (const [program, script] of Object.entries(programs)) {
    await writeFile(join(dir, program), `#!/bin/sh\n${script}\n`);
    await chmod(join(dir, program), 0o755);
  }
  return dir;
}
