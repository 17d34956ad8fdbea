/** Bad input gets an error that says what is wrong; what is not ours stays as it was. */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { type ByHand, leftBelow, nodeFile, prepareByHand } from "../support/by-hand.ts";
import { temporaryFolder } from "../support/cluster.ts";
import { freeDemoPorts, occupy, release } from "../support/ports.ts";
import { cli, exitOf, mustRun, needProgram, type RunResult } from "../support/programs.ts";
import { until } from "../support/until.ts";

const folders: string[] = [];
const hands: ByHand[] = [];

afterEach(async () => {
  for (const hand of hands.splice(0)) await hand.discard("remove");
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function folder(): Promise<string> {
  const made = await temporaryFolder("bad");
  folders.push(made);
  return made;
}

async function byHand(): Promise<ByHand> {
  const made = await prepareByHand(3);
  hands.push(made);
  return made;
}

async function demo(dir: string, port?: number, env: NodeJS.ProcessEnv = {}): Promise<RunResult> {
  const base = port ?? (await freeDemoPorts(3));
  return await cli(["demo", "--dir", dir, "--port", `${base}`], {
    limitMs: 30_000,
    env: { ...process.env, ...env },
  });
}

/** It ended by itself, with one of these words, without a stack trace. */
function expectRefused(result: RunResult, words: RegExp): void {
  expect(result.timedOut, result.stderr).toBe(false);
  expect(result.exitCode).toBeGreaterThan(0);
  expect(result.stderr).toMatch(words);
  expect(result.stderr).not.toMatch(/^ {4}at /m);
}

async function fingerprint(path: string): Promise<string> {
  const names = (await readdir(path, { recursive: true })).toSorted();
  const hash = createHash("sha256").update(names.join("\n"));
  for (const name of names) hash.update(await readFile(join(path, name)).catch(() => ""));
  return hash.digest("hex");
}

test("an occupied port is named, and nothing is left running", async () => {
  const dir = join(await folder(), "demo");
  const port = await freeDemoPorts(3);
  for (const taken of [port + 1, port + 52]) {
    const holder = await occupy(taken);
    expectRefused(await demo(dir, port), new RegExp(`${taken}`));
    await release(holder);
    expect(leftBelow(dir)).toEqual([]);
  }
});

test("a folder with somebody's files in it is refused and left as it was", async () => {
  const dir = await folder();
  await writeFile(join(dir, "precious.txt"), "do not touch");
  const before = await fingerprint(dir);
  expectRefused(await demo(dir), new RegExp(dir));
  expect(await fingerprint(dir)).toBe(before);
});

test("a folder that cannot be made is named", async () => {
  const top = await folder();
  await writeFile(join(top, "file"), "");
  const dir = join(top, "file", "demo");
  expectRefused(await demo(dir), new RegExp(`${top}/file`));
  expectRefused(await demo("/proc/pg-replica-demo"), /\/proc/);
});

test("a folder with PostgreSQL's programs that has none is named, with a way to install them", async () => {
  const top = await folder();
  const refused = await demo(join(top, "demo"), undefined, { PG_REPLICA_BIN_DIR: top });
  expectRefused(refused, new RegExp(top));
  expect(refused.stderr).toMatch(/install/i);
});

test("programs of a version too old are refused", async () => {
  const top = await folder();
  const script = "#!/bin/sh\necho 'postgres (PostgreSQL) 9.6.24'\n";
  for (const name of await readdir(join(needProgram("initdb"), ".."))) {
    await writeFile(join(top, name), script, { mode: 0o755 });
  }
  const refused = await demo(join(top, "demo"), undefined, { PG_REPLICA_BIN_DIR: top });
  expectRefused(refused, /9\.6/);
});

test("wrong options are usage errors that name option, value and expectation", async () => {
  for (const [args, words] of [
    [["demo", "--nodes", "many"], /--nodes: many: expected/],
    [["demo", "--port", "99999"], /--port: 99999: expected/],
    [["demo", "--color"], /--color/],
    [["start"], /start: expected one of/],
    [["run", "--config", "/nonexistent/node.yaml"], /nonexistent/],
  ] as const) {
    expectRefused(await cli(args, { limitMs: 10_000 }), words);
  }
});

test("a configuration with a duplicate name, an unknown key or a bad port is refused, all at once", async () => {
  const hand = await byHand();
  const ports = hand.nodes.map(({ id, data, control }) => ({
    id,
    data: data.port,
    control: control.port,
  }));
  const file = nodeFile(ports, 1) as { peers: { name: string }[]; control: { port: unknown } };
  const [, second] = file.peers;
  if (second !== undefined) second.name = "node1";
  await writeFile(hand.configOf(1), JSON.stringify(file));
  expectRefused(await hand.init(1), /peers.*node1/s);
  file.control.port = 70_000;
  await writeFile(hand.configOf(1), JSON.stringify({ ...file, colour: "red" }));
  const refused = await hand.init(1);
  expectRefused(refused, /control\.port: 70000: expected/);
  expect(refused.stderr).toMatch(/colour: unknown key: expected/);
});

test("a node whose identity belongs to another cluster does not run", async () => {
  const hand = await byHand();
  // Two at once: one makes the store, the other is refused and harms nothing.
  const inits = await Promise.all([hand.init(1), hand.init(1)]);
  const [won, lost] = inits.toSorted((a, b) => (a.exitCode ?? 1) - (b.exitCode ?? 1));
  expect(won).toMatchObject({ exitCode: 0 });
  if (lost !== undefined) expectRefused(lost, /runs already|is initialised already/);
  const ports = hand.nodes.map(({ id, data, control }) => ({
    id,
    data: data.port,
    control: control.port,
  }));
  await writeFile(hand.configOf(1), JSON.stringify(nodeFile(ports, 1, { cluster: "another" })));
  const refused = await cli(["run", "--config", hand.configOf(1)], { limitMs: 20_000 });
  expectRefused({ ...refused, stderr: refused.stderr + refused.stdout }, /another|cluster/);
});

/** A data directory that another PostgreSQL cluster made. */
async function foreignData(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  const root = process.getuid?.() === 0;
  if (root) await mustRun("chown", ["postgres", dir]);
  const uid = root ? Number(await mustRun("id", ["-u", "postgres"])) : undefined;
  const user = uid === undefined ? {} : { uid };
  await mustRun(needProgram("initdb"), ["-D", dir, "-A", "trust", "--no-sync"], user);
}

test("another cluster's data directory is neither started nor changed", async () => {
  const hand = await byHand();
  const { dir } = hand.node(1).data;
  await foreignData(dir);
  const before = await fingerprint(dir);
  const init = await hand.init(1);
  if (init.exitCode !== 0) {
    expectRefused(init, new RegExp(dir));
  } else {
    const worker = await hand.run(1);
    await until("the worker names the folder", { limitMs: 20_000 }, async () => {
      return (await readFile(hand.logOf(1), "utf8")).includes(dir);
    });
    worker.kill("SIGTERM");
    await exitOf(worker);
  }
  expect(await fingerprint(dir)).toBe(before);
}, 60_000);
