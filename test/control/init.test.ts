/** Making a control store: interrupted anywhere it can be begun again, and an earlier life is never overwritten. */
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { silentLog } from "../../src/log/logger.ts";
import { createControlStore, startControlStore } from "../../src/worker/control-store.ts";
import { type TestNode, testNode } from "./node.ts";

const nodes: TestNode[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close();
});
async function newNode(): Promise<TestNode> {
  const node = await testNode();
  nodes.push(node);
  return node;
}

test("a worker does not start where init never ran", async () => {
  const node = await newNode();
  await expect(node.start()).rejects.toThrow("was never initialised: run pg-replica init");
});

test("init twice is refused, and changes nothing", async () => {
  const node = await newNode();
  const identity = await node.create();
  await expect(node.create()).rejects.toThrow(/is initialised already$/);
  const { config } = node;
  const kept = JSON.parse(await readFile(join(config.dir, "identity.json"), "utf8"));
  expect(kept.incarnation).toBe(identity.incarnation);
  expect((await readdir(config.dir)).sort()).toEqual([
    "control",
    "hba",
    "identity.json",
    "log",
    "run",
  ]);
});

test("interrupted at any moment, init begins again and ends well", async () => {
  const node = await newNode();
  for (const ms of [0, 200, 500, 1000]) {
    const signal = AbortSignal.timeout(ms);
    const { config, binaries, owner } = node;
    await createControlStore(config, binaries, owner, { signal }).catch(() => undefined);
  }
  await node.create().catch((error: Error) => {
    expect(error.message).toMatch(/is initialised already$/);
  });
  await node.start();
}, 90_000);

test("killed between the identity and the store's name, init only gives the name", async () => {
  const node = await newNode();
  const { incarnation } = await node.create();
  const { dir } = node.config.control;
  await rename(dir, `${dir}.new`);
  await cp(join(node.config.dir, "identity.json"), `${dir}.init`);
  expect((await node.create()).incarnation).toBe(incarnation);
  await node.start();
});

test("a half-made store whose server still runs is cleared away", async () => {
  const node = await newNode();
  const { dir } = node.config.control;
  await node.create();
  await node.start();
  // As a kill -9 during init leaves it: running, under the unfinished name, without an identity.
  await rename(dir, `${dir}.new`);
  await writeFile(`${dir}.init`, "");
  await rm(join(node.config.dir, "identity.json"));
  await node.create();
  await node.start();
});

test("a lost store is made anew by its worker alone, and never for another cluster (H56)", async () => {
  const node = await newNode();
  await node.create();
  await rm(node.config.control.dir, { recursive: true });
  await expect(node.create()).rejects.toThrow(/its control store is gone.*run makes it anew/);
  const clusterId = "11111111-1111-5111-8111-111111111111";
  const { binaries, owner } = node;
  const parts = { clock: monotonicClock, log: silentLog };
  await expect(
    startControlStore({ ...node.config, clusterId }, binaries, owner, parts),
  ).rejects.toThrow(/belongs to node 1 of cluster test/);
  await node.start();
});

test("a store brought from elsewhere is not this node's (H56)", async () => {
  const node = await newNode();
  await node.create();
  const other = await newNode();
  await other.create();
  const { dir } = node.config.control;
  await rm(dir, { recursive: true });
  await cp(other.config.control.dir, dir, { recursive: true });
  const { owner } = node;
  if (owner !== undefined) await chownTree(dir, owner);
  await expect(node.start()).rejects.toThrow(/one of them was replaced; this node must not vote/);
});

test("another cluster's configuration is refused", async () => {
  const node = await newNode();
  await node.create();
  const config = { ...node.config, clusterId: "11111111-1111-5111-8111-111111111111" };
  const other = await testNode(config);
  nodes.push(other);
  await expect(other.start()).rejects.toThrow(/belongs to node 1 of cluster test/);
});

test("folders of somebody else are refused and left alone", async () => {
  const node = await newNode();
  const { config } = node;
  await mkdir(config.control.dir);
  await writeFile(join(config.control.dir, "theirs"), "");
  await expect(node.create()).rejects.toThrow(/control is not empty, and nothing says that it is/);
  expect(await readdir(config.control.dir)).toEqual(["theirs"]);

  await rm(config.control.dir, { recursive: true });
  await mkdir(`${config.control.dir}.new`);
  await writeFile(join(`${config.control.dir}.new`, "theirs"), "");
  await expect(node.create()).rejects.toThrow(/control\.new is not empty, and pg_replica did not/);

  await rm(`${config.control.dir}.new`, { recursive: true });
  const data = join(config.dir, "data");
  await mkdir(data);
  await writeFile(join(data, "PG_VERSION"), "15");
  await expect(node.create()).rejects.toThrow(/data is not empty: a new member gets its data/);
});

test("a socket path that is too long is refused before anything is made", async () => {
  const node = await newNode();
  const dir = join(node.config.dir, "long".repeat(25));
  const config = { ...node.config, dir };
  await expect(createControlStore(config, node.binaries, node.owner)).rejects.toThrow(
    /would have a path of 1\d\d bytes, 107 are possible/,
  );
});

async function chownTree(dir: string, owner: { uid: number; gid: number }): Promise<void> {
  const { chown } = await import("node:fs/promises");
  await chown(dir, owner.uid, owner.gid);
  for (const entry of await readdir(dir, { recursive: true })) {
    await chown(join(dir, entry), owner.uid, owner.gid);
  }
}
