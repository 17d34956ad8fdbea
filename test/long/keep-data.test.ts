/** Data that were there before the cluster: a server of its own, and what a cluster left whose stores were all lost. */
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { type Binaries, findBinaries } from "../../src/postgres/binaries.ts";
import { initdb } from "../../src/postgres/initdb.ts";
import { type Owner, serverOwner } from "../../src/postgres/owner.ts";
import { type Server, startServer, waitReady } from "../../src/postgres/server.ts";
import { type ByHand, prepareByHand } from "../support/by-hand.ts";
import { processesBelow } from "../support/cluster.ts";
import { onPrimary, untilHealthy, untilNewPrimary } from "../support/health.ts";
import { signalTree, untilGone } from "../support/processes.ts";
import { cli } from "../support/programs.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

vi.setConfig({ testTimeout: 300_000, hookTimeout: 240_000 });

let hand: ByHand;
let owner: Owner | undefined;
let binaries: Binaries;
let failed = true;

beforeAll(async () => {
  owner = await serverOwner("postgres");
  hand = await prepareByHand(3, { founders: 1 });
  binaries = await findBinaries({ owner, copyEmbeddedTo: join(hand.top, "pg") });
});

afterAll(async () => {
  await hand?.discard(failed ? "keep" : "remove");
}, 60_000);

const keep = (id: number) =>
  cli(["init", "--keep-data", "--config", hand.configOf(id)], { limitMs: 60_000 });
const dataOf = (id: number) => hand.node(id).data.dir;

/** Its file says who founds: this node alone, or somebody else. */
async function setPeers(id: number, founds: boolean): Promise<void> {
  const path = hand.configOf(id);
  const { peers: _, ...file } = JSON.parse(await readFile(path, "utf8"));
  const peer = { id, name: `node${id}`, host: "127.0.0.1", port: hand.node(id).control.port };
  const data = { data_host: "127.0.0.1", data_port: hand.node(id).data.port };
  const peers = founds ? { peers: [{ ...peer, ...data }] } : {};
  await writeFile(path, JSON.stringify({ ...file, ...peers }));
}

async function joinAll(ids: readonly number[], by: number): Promise<void> {
  const { control } = hand.node(by);
  await until(`node ${by} leads`, { limitMs: 60_000 }, async () => {
    return (await value(control.uri, "select writable from pg_replica.cluster()")) === "true";
  });
  for (const id of ids) {
    const joined = await hand.join(id, by);
    expect(joined, joined.stderr).toMatchObject({ exitCode: 0 });
    await hand.run(id);
  }
}

async function countEverywhere(table: string): Promise<string[]> {
  const all = hand.nodes.map(({ data }) => value(data.uri, `select count(*) from ${table}`));
  return (await Promise.all(all)).map(String);
}

describe("a server of its own", () => {
  let server: Server;

  beforeAll(async () => {
    await initdb(binaries, { dir: dataOf(1), owner });
    await writeFile(join(dataOf(1), "postgresql.conf"), "max_connections = 137\n", { flag: "a" });
    const hba = join(hand.top, "before.hba");
    await writeFile(hba, "local all all trust\n", { mode: 0o644 });
    const settings = {
      listen_addresses: "",
      port: hand.node(1).data.port,
      unix_socket_directories: "/tmp",
      hba_file: hba,
      // More than ours: a standby would not start before ours were in pg_control.
      max_wal_senders: 60,
    };
    const args = Object.entries(settings).flatMap(([name, is]) => ["-c", `${name}=${is}`]);
    const logFile = join(hand.top, "before.log");
    server = await startServer({ binaries, dataDir: dataOf(1), owner, logFile, args });
    await waitReady(server, { clock: monotonicClock, limitMs: 20_000 });
    const uri = `postgresql://postgres@/postgres?host=/tmp&port=${hand.node(1).data.port}`;
    await rows(uri, "create table before (n integer primary key)");
    await rows(uri, "insert into before select generate_series(1, 10000)");
    await rows(uri, "create role clerk login");
    await rows(uri, "alter system set work_mem = '5MB'");
  });

  test("what cannot be kept is refused by name, and left as it is", async () => {
    expect((await keep(1)).stderr).toMatch(/a server runs on .*, pid \d+: stop it first/);
    const before = await readFile(hand.configOf(1), "utf8");
    expect((await keep(2)).stderr).toMatch(/--keep-data: expected a file whose only peer/);
    await setPeers(2, true);
    expect((await keep(2)).stderr).toMatch(/is no PostgreSQL data directory/);
    await setPeers(2, false);
    await server.stop("immediate", 10_000);
    await writeFile(`${dataOf(1)}.marker`, "{}");
    expect((await keep(1)).stderr).toMatch(/data\.marker says that a copy .* was not finished/);
    await rm(`${dataOf(1)}.marker`);
    expect((await hand.init(1)).stderr).toMatch(/data is not empty/);
    const version = join(dataOf(1), "PG_VERSION");
    const major = await readFile(version, "utf8");
    await writeFile(version, "14\n");
    expect((await keep(1)).stderr).toMatch(/is of PostgreSQL 14, and .* is \d+: set bin_dir/);
    await writeFile(version, major);
    expect(await readFile(hand.configOf(1), "utf8")).toBe(before);
  });

  test("it becomes a cluster of one after a crash, others join, and it fails over", async () => {
    failed = true;
    const kept = await keep(1);
    expect(kept, kept.stderr).toMatchObject({ exitCode: 0 });
    expect(kept.stdout).toMatch(/kept: .*data, system \d+, timeline 1\n/);
    expect((await keep(1)).stderr).toMatch(/node 1 of cluster byhand is initialised already/);
    await hand.run(1);
    await joinAll([2, 3], 1);
    await untilHealthy(hand, 120_000);
    expect(await countEverywhere("before")).toEqual(["10000", "10000", "10000"]);
    for (const { data } of hand.nodes) {
      expect(await value(data.uri, "show max_connections")).toBe("137");
      expect(await value(data.uri, "show work_mem")).toBe("5MB");
      expect(await value(data.uri, "select count(*) from pg_roles where rolname = 'clerk'")).toBe(
        "1",
      );
    }
    const { primary } = await untilHealthy(hand);
    await onPrimary(hand, "insert into before values (0)");
    const killed = signalTree(() => processesBelow(join(hand.top, `node${primary}`)), "SIGKILL");
    await untilGone(killed, 10_000);
    const next = await untilNewPrimary(hand, primary);
    expect(await value(hand.node(next).data.uri, "select count(*) from before")).toBe("10001");
    await hand.run(primary);
    await untilHealthy(hand, 120_000);
    failed = false;
  });
});

describe("genesis-coldstart", () => {
  /** What made a cluster of them is gone from every node; of the data nothing. */
  async function loseEverything(): Promise<void> {
    await hand.crashAll();
    for (const { id, control, data } of hand.nodes) {
      await rm(control.dir, { recursive: true });
      for (const path of [`${data.dir}.mark`, `${data.dir}.slots`]) await rm(path, { force: true });
      for (const name of ["identity.json", "data.json"])
        await rm(join(hand.top, `node${id}`, name), { force: true });
    }
  }

  test.each([1, 2, 3])(
    "every store and mark is lost: the cluster goes on from node %i's data",
    async (keeper) => {
      failed = true;
      const { primary } = await untilHealthy(hand, 120_000);
      const { uri } = hand.node(primary).data;
      await rows(uri, `create table round_${keeper} as select generate_series(1, 100) as n`);
      for (const { id, data } of hand.nodes) {
        await until(`node ${id} holds it`, { limitMs: 10_000 }, async () => {
          return (await value(data.uri, `select count(*) from round_${keeper}`)) === "100";
        });
      }
      await loseEverything();
      const others = hand.nodes.map(({ id }) => id).filter((id) => id !== keeper);
      await setPeers(keeper, true);
      for (const id of others) {
        await setPeers(id, false);
        await rm(`${dataOf(id)}.before`, { recursive: true, force: true });
        await rename(dataOf(id), `${dataOf(id)}.before`);
      }
      const kept = await keep(keeper);
      expect(kept, kept.stderr).toMatchObject({ exitCode: 0 });
      await hand.run(keeper);
      await joinAll(others, keeper);
      const healthy = await untilHealthy(hand, 120_000);
      expect(healthy.epoch).toBe(1n);
      expect(await countEverywhere(`round_${keeper}`)).toEqual(["100", "100", "100"]);
      expect(await countEverywhere("before")).toEqual(["10001", "10001", "10001"]);
      // It is a cluster like any other: it fails over.
      const killed = signalTree(
        () => processesBelow(join(hand.top, `node${healthy.primary}`)),
        "SIGKILL",
      );
      await untilGone(killed, 10_000);
      const next = await untilNewPrimary(hand, healthy.primary);
      await rows(hand.node(next).data.uri, `insert into round_${keeper} values (101)`);
      await hand.run(healthy.primary);
      await untilHealthy(hand, 120_000);
      failed = false;
    },
  );
});
