/** The command line's own errors: exit 2 and one clear line; a bad configuration is exit 1. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cli } from "../support/programs.ts";

const USAGE: readonly (readonly [line: string, said: string])[] = [
  [
    "",
    "command: missing: expected one of init, run, stop, status, failover, switchover, recover, install-extension, demo",
  ],
  ["demolish", "command: demolish: expected one of init, run,"],
  ["status --colour", "--colour: unknown option: expected one of --config, --uri, --json, --watch"],
  ["status --config", "--config: missing: expected a value"],
  ["status --json=yes", "--json: expected no value"],
  ["status node1", "argument: node1: expected no words here"],
  ["status --uri nonsense", "--uri: not a URI: expected postgresql://user:password@host:port"],
  ["status --uri postgres://h:1 --config x", "--uri: expected either --uri or --config, not both"],
  ["status --uri postgres://h:1/?sslmode=require", "--uri: sslmode=require: expected disable,"],
  ["failover a b", "argument: b: expected at most 1 word here"],
  ["failover --wait-ms soon", "--wait-ms: soon: expected a whole number, 0 to 3600000"],
  ["demo --nodes 0", "--nodes: 0: expected a whole number, 1 to 16"],
  ["demo --nodes 3.5", "--nodes: 3.5: expected a whole number, 1 to 16"],
  ["demo --port 70000", "--port: 70000: expected a whole number, 1 to 65469"],
];

test.concurrent.each(USAGE)("pg-replica %s", async (line, said) => {
  const { exitCode, stdout, stderr } = await cli(line.split(" ").filter((word) => word !== ""));
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
  expect(stderr).toContain(`pg-replica: ${said}`);
  expect(stderr).not.toContain("    at ");
});

let empty: string;
beforeAll(async () => {
  empty = await mkdtemp(join(tmpdir(), "pgr-cli-"));
});
afterAll(() => rm(empty, { recursive: true, force: true }));

test.each([
  "init",
  "run",
  "stop",
  "status",
  "failover",
  "switchover",
  "recover",
  "install-extension",
])("%s without a configuration names the file it looked for", async (command) => {
  const { exitCode, stderr } = await cli([command], { cwd: empty });
  expect(exitCode).toBe(1);
  expect(stderr).toBe(
    `pg-replica: config: ${empty}/node.yaml: expected a readable file: there is none (in --config)\n`,
  );
});

test("--version prints the package's version, --help every command", async () => {
  expect((await cli(["--version"])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  const { stdout, exitCode } = await cli(["--help"]);
  expect(exitCode).toBe(0);
  const names = [
    "init",
    "run",
    "stop",
    "status",
    "failover",
    "switchover",
    "install-extension",
    "demo",
  ];
  const helps = await Promise.all(names.map((name) => cli([name, "--help"])));
  for (const [at, name] of names.entries()) {
    expect(stdout).toContain(`  ${name} `);
    expect(helps[at]?.stdout).toMatch(new RegExp(`^pg-replica ${name} `));
  }
});

test("a server that does not answer is named, without a stack", async () => {
  const { exitCode, stderr } = await cli([
    "status",
    "--uri",
    "postgresql://u:pw@127.0.0.1:1/postgres",
  ]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain("pg-replica: control store: 127.0.0.1:1: connect ECONNREFUSED");
  expect(stderr).not.toContain("pw");
  expect(stderr.trim().split("\n")).toHaveLength(1);
});

test("PG_REPLICA_DEBUG adds the stack", async () => {
  const env = { ...process.env, PG_REPLICA_DEBUG: "1" };
  const { stderr } = await cli(["status"], { cwd: empty, env });
  expect(stderr).toContain("    at ");
});
