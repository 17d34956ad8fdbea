/** A script for pgraft's published interface runs to its end, on the leader's data server and control store alike. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { useCluster } from "../support/fixture.ts";
import { untilHealthy } from "../support/health.ts";
import { cli, needProgram, PROJECT, run } from "../support/programs.ts";
import { errorOf, rows, sqlstate, value } from "../support/sql.ts";

const cluster = useCluster();
const SCRIPT = join(import.meta.dirname, "testdata/pgraft-script.sql");

let dir: string;
let share: string;
/** Whether PostgreSQL's own folder took the extension from us: then it is taken out again. */
let mayInstall: boolean;
let ours: string[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "pgr-script-"));
  const { stdout } = await run(needProgram("pg_config"), ["--sharedir"]);
  share = stdout.trim();
  const before = await readdir(join(share, "extension"));
  const { exitCode } = await cli(["install-extension", "--sharedir", share]);
  mayInstall = exitCode === 0;
  ours = before.includes("pgraft.control") ? [] : ["pgraft.control", "pgraft--1.0.0.sql"];
}, 60_000);
afterAll(async () => {
  for (const file of ours) await rm(join(share, "extension", file), { force: true });
  await rm(dir, { recursive: true, force: true });
});

/** psql's answers by section. */
async function play(uri: string, leader: number): Promise<Map<string, string[]>> {
  const others = cluster().nodes.filter(({ id }) => id !== leader);
  const places = others.flatMap(({ id, control }, at) => [
    ["-v", `id${at + 2}=${id}`],
    ["-v", `host${at + 2}=127.0.0.1`],
    ["-v", `port${at + 2}=${control.port}`],
  ]);
  const text = await readFile(SCRIPT, "utf8");
  const file = join(dir, "script.sql");
  // Where nobody may write PostgreSQL's folder everything but that line works.
  await writeFile(file, mayInstall ? text : text.replace(/^CREATE EXTENSION.*$/m, ""));
  const args = ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", ...places.flat(), "-d", uri];
  const { exitCode, stdout, stderr } = await run(needProgram("psql"), [...args, "-f", file], {
    limitMs: 60_000,
  });
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  const sections = new Map<string, string[]>();
  let section: string[] = [];
  for (const line of stdout.split("\n")) {
    if (/^[a-z]{2,}$/.test(line)) {
      section = [];
      sections.set(line, section);
    } else if (line !== "") section.push(line);
  }
  return sections;
}

describe.each(["data server", "control store"] as const)("on the %s", (kind) => {
  test("the script runs to its end, and says what it should", async () => {
    const { leader } = await untilHealthy(cluster());
    const node = cluster().node(leader);
    const said = await play(kind === "data server" ? node.data.uri : node.control.uri, leader);
    expect(said.has("end")).toBe(true);
    const members = said.get("members") as string[];
    expect(members.slice(0, 4)).toEqual(["t", "t", "t", "t"]);
    expect(members.slice(4, 7).filter((row) => row.split("|")[3] === "t")).toHaveLength(1);
    expect(members).toHaveLength(10);
    const status = said.get("status") as string[];
    expect(status[0]).toBe(`${leader}|t|running|1.0.0`);
    for (const row of status.slice(1, 4))
      expect(row).toMatch(/^\d\|(Leader|Follower)\|\d+\.\d{3}s$/);
    expect(status.slice(4)).toEqual(["t", "t"]);
    const log = said.get("log") as string[];
    expect(log.slice(0, 3)).toEqual(["t", "t|t", '{"what": "a row", "id": 123}']);
    for (const row of log.slice(3)) expect(row).toMatch(/^\d\|t\|\d+\.\d{3}s$/);
    expect(log).toHaveLength(5);
    expect(said.get("keys")).toEqual(["t|hello|t", "t|t"]);
    const application = said.get("application") as string[];
    expect(application.slice(0, 3)).toEqual([
      '{"name": "max_connections", "revision": 1, "replicated": true}',
      '{"name": "max_connections", "revision": 2, "replicated": true}',
      'max_connections|{"value": 200}|2',
    ]);
    expect(application.slice(3)).toEqual(["role|OK", "leader|OK", "worker|OK", "log|OK"]);
    // The entry stays, the caller's rows do not.
    const undone = (said.get("rollback") as string[]).slice(1);
    expect(undone[0]).toBe("0");
    expect(Number(undone[1])).toBeGreaterThan(0);
  });

  test("on another node it is refused in the documented words", async () => {
    const { leader } = await untilHealthy(cluster());
    const other = cluster().nodes.find(({ id }) => id !== leader);
    const uri = (kind === "data server" ? other?.data.uri : other?.control.uri) ?? "";
    expect(sqlstate(await errorOf(value(uri, "select pgraft_replicate_entry('x')")))).toBe("RF001");
    expect(await value(uri, "select pgraft_is_leader()")).toBe("false");
    expect(await value(uri, "select pgraft_kv_exists('greeting')")).toBe("false");
  });
});

test("the extension owns nothing: no upgrade of ours is in its way", async () => {
  const { primary } = await untilHealthy(cluster());
  const uri = cluster().node(primary).data.uri;
  const members = `select count(*)::integer as n from pg_depend where deptype = 'e'
                     and refobjid = (select oid from pg_extension where extname = 'pgraft')`;
  expect(await rows(uri, members)).toEqual([{ n: 0 }]);
});

test("install-extension copies two files, or says why it cannot", async () => {
  await mkdir(join(dir, "extension"));
  const { exitCode } = await cli(["install-extension", "--sharedir", dir]);
  expect(exitCode).toBe(0);
  const copied = await readFile(join(dir, "extension/pgraft.control"), "utf8");
  expect(copied).toBe(await readFile(join(PROJECT, "extension/pgraft.control"), "utf8"));
  const refused = await cli(["install-extension", "--sharedir", `${dir}/nowhere`]);
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain(
    `pg-replica: sharedir: ${dir}/nowhere/extension/pgraft.control cannot be written (ENOENT)`,
  );
});
