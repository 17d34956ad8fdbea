/** What the demo refuses before it starts anything: foreign folders, occupied ports, other numbers. */
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freeDemoPorts, occupy, release } from "../support/ports.ts";
import { cli, type RunResult } from "../support/programs.ts";

let root: string;
let port: number;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "pgr-demo-"));
  await chmod(root, 0o755);
  port = await freeDemoPorts(3);
});
afterEach(() => rm(root, { recursive: true, force: true }));

function demo(dir: string, ...more: string[]): Promise<RunResult> {
  return cli(["demo", "--dir", dir, "--port", `${port}`, ...more], { limitMs: 20_000 });
}

test("a folder with somebody else's files is refused and left as it is", async () => {
  await writeFile(join(root, "thesis.txt"), "do not lose me");
  const { exitCode, stderr } = await demo(root);
  expect(exitCode).toBe(1);
  expect(stderr).toBe(
    `pg-replica: --dir: ${root}: expected an empty folder, or one that a demo made ` +
      "(it has no good demo.json); nothing was changed\n",
  );
  expect(await readdir(root)).toEqual(["thesis.txt"]);
});

test("a demo.json that is not ours does not open the folder", async () => {
  await writeFile(join(root, "demo.json"), '{"nodes": 3, "port": 7432}');
  const { exitCode, stderr } = await demo(root);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`--dir: ${root}: expected an empty folder`);
  expect(await readdir(root)).toEqual(["demo.json"]);
});

test("a file in the folder's place is refused", async () => {
  const file = join(root, "file");
  await writeFile(file, "");
  const { exitCode, stderr } = await demo(file);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`--dir: ${file}: expected a folder`);
});

test.runIf(process.platform === "linux")("a folder that cannot be made is named", async () => {
  for (const dir of ["/proc/demo", "/proc/demo/1"]) {
    const { exitCode, stderr } = await demo(dir);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("--dir: /proc/demo: expected a folder that can be made: ENOENT");
  }
});

test("every occupied port is named, with what it is for and what moves it", async () => {
  const held = [await occupy(port + 1), await occupy(port + 52)];
  try {
    const { exitCode, stderr } = await demo(join(root, "demo"));
    expect(exitCode).toBe(1);
    expect(stderr.split("\n")).toEqual([
      `pg-replica: port ${port + 1}: another program listens there: expected it free for the data server of node2`,
      `pg-replica: port ${port + 52}: another program listens there: expected it free for the control store of node3`,
      "pg-replica: --port P moves all of them",
      "",
    ]);
  } finally {
    await Promise.all(held.map(release));
  }
});

test("a folder keeps the numbers it was made with", async () => {
  const held = await occupy(port);
  try {
    const dir = join(root, "demo");
    await demo(dir); // ends at the occupied port, the folder is laid out
    const nodes = await demo(dir, "--nodes", "5");
    expect(nodes.stderr).toContain(`--nodes: 5: expected 3, with which ${dir} was made`);
    const other = await cli(["demo", "--dir", dir, "--port", `${port + 1}`]);
    expect(other.stderr).toContain(`--port: ${port + 1}: expected ${port}, with which`);
    expect([nodes.exitCode, other.exitCode]).toEqual([1, 1]);
  } finally {
    await release(held);
  }
});

test("secrets are written once, unreadable for others, the same for every node", async () => {
  const held = await occupy(port);
  try {
    const dir = join(root, "demo");
    await demo(dir);
    const secrets = [1, 2, 3].map((id) => join(dir, `node${id}`, "peer.secret"));
    const modes = await Promise.all(secrets.map(async (path) => (await stat(path)).mode & 0o777));
    expect(modes).toEqual([0o600, 0o600, 0o600]);
    const before = await stat(secrets[0] ?? "", { bigint: true });
    await demo(dir);
    expect((await stat(secrets[0] ?? "", { bigint: true })).ino).toBe(before.ino);
  } finally {
    await release(held);
  }
});

test.runIf(process.getuid?.() === 0)(
  "as root, a folder that run_as cannot enter is named",
  async () => {
    const closed = join(root, "closed");
    await mkdir(closed, { mode: 0o700 });
    const { exitCode, stderr } = await demo(join(closed, "demo"));
    expect(exitCode).toBe(1);
    expect(stderr).toContain(
      `--dir: ${closed}: expected a folder that postgres can enter, its mode is 0700`,
    );
    expect(await readdir(closed)).toEqual([]);
  },
);
