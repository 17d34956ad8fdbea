/** The package as npm packs it, installed as a dependency: no types are stripped there, so it must be JavaScript. */
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mustRun, PROJECT, run } from "../support/programs.ts";

let dir: string;
let installed: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "pgr-package-"));
  await mustRun(process.execPath, [join(PROJECT, "scripts/build.ts")], {
    cwd: PROJECT,
    limitMs: 60_000,
  });
  const pack = ["pack", "--ignore-scripts", "--silent", "--pack-destination", dir];
  await mustRun("npm", pack, { cwd: PROJECT, limitMs: 60_000 });
  const tarball = (await readdir(dir)).find((name) => name.endsWith(".tgz")) ?? "";
  const modules = join(dir, "node_modules");
  installed = join(modules, "pg-replica");
  await mkdir(installed, { recursive: true });
  await mustRun("tar", ["-xzf", join(dir, tarball), "-C", installed, "--strip-components=1"]);
  // Its dependencies, as an installation would bring them, without a registry.
  for (const name of await readdir(join(PROJECT, "node_modules"))) {
    if (!name.startsWith("."))
      await symlink(join(PROJECT, "node_modules", name), join(modules, name));
  }
}, 150_000);
afterAll(() => rm(dir, { recursive: true, force: true }));

const MAIN = "dist/cli/main.js";

test("the installed program runs", async () => {
  const version = await mustRun(process.execPath, [join(installed, MAIN), "--version"]);
  expect(version).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test("the program is executable by itself", async () => {
  const { exitCode, stdout } = await run(join(installed, MAIN), ["--help"], {
    env: { ...process.env, PATH: `${join(PROJECT, "node_modules/.bin")}:${process.env.PATH}` },
  });
  expect(exitCode).toBe(0);
  expect(stdout).toContain("pg-replica COMMAND");
});

test("it holds the SQL it installs, for both targets", async () => {
  const { readMigrations, readSqlFiles } = (await import(
    join(installed, "dist/db/migration-file.js")
  )) as typeof import("../../src/db/migration-file.ts");
  for (const target of ["control", "data"] as const) {
    expect((await readMigrations(target)).length).toBeGreaterThan(1);
    expect((await readSqlFiles(target)).length).toBeGreaterThan(3);
  }
});

test("it holds the deadman, a script beside the program that starts it", async () => {
  expect(await readdir(join(installed, "dist/postgres"))).toContain("deadman.sh");
});

test("a program imports the clients it promises, and they load no part of the worker", async () => {
  const program = `
    import { createPool } from "pg-replica/client";
    import { Pool } from "pg-replica/pool";
    import { ReplicationClient } from "pg-replica/replication";
    import pg from "pg";
    const pool = new Pool({ connectionString: "postgres://u@a,b/db" });
    console.log(typeof createPool, pool instanceof pg.Pool, typeof ReplicationClient);
    await pool.end();`;
  const file = join(dir, "program.mjs");
  await writeFile(file, program);
  const env = { ...process.env, NODE_DEBUG: "esm" };
  const { stdout, stderr } = await run(process.execPath, [file], { env });
  expect(stdout).toBe("function true function\n");
  expect(stderr).toMatch(/dist\/client\//);
  expect(stderr).not.toMatch(/dist\/(worker|agent|raft|cli)\//);
});

test("it holds no TypeScript to be stripped, no tests and no keys", async () => {
  const files = await readdir(installed, { recursive: true });
  expect(files.filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"))).toEqual([]);
  expect(files.filter((name) => /^(test|bench|src|\.ci)\//.test(name))).toEqual([]);
});
