/** A control store's life on a real server: made, started, adopted, verified, stopped. */
import { chmod, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { nodePassword } from "../../src/config/secrets.ts";
import { UnsafeStore } from "../../src/db/durability.ts";
import { startServer, waitReady } from "../../src/postgres/server.ts";
import { overTcp, type TestNode, testNode } from "./node.ts";

let node: TestNode;
beforeAll(async () => {
  node = await testNode();
  await node.create();
  await node.start();
});
afterAll(() => node.close());

describe("a new control store", () => {
  test("knows its identity and the initial members, and has heard of no leader", async () => {
    const [identity] = await node.sql("select node_id, name, cluster_name from node.identity");
    expect(identity).toEqual({ node_id: 1, name: "node1", cluster_name: "test" });
    const members = await node.sql(
      "select node_id, name, data_port is null as witness, promotable, state from cluster.member order by 1",
    );
    expect(members).toEqual([
      { node_id: 1, name: "node1", witness: false, promotable: true, state: "initial" },
      { node_id: 2, name: "node2", witness: false, promotable: true, state: "initial" },
      { node_id: 3, name: "witness", witness: true, promotable: false, state: "initial" },
    ]);
    expect(await node.sql("select current_term, last_index from raft.hard_state")).toEqual([
      { current_term: "0", last_index: "0" },
    ]);
  });

  test("is small: 1 MB segments, 4 MB of buffers, no replication, no background workers", async () => {
    const rows = await node.sql(
      `select name, setting from pg_settings where name in
         ('wal_segment_size', 'shared_buffers', 'wal_level', 'max_wal_senders', 'max_worker_processes')`,
    );
    expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
      wal_segment_size: "1048576",
      shared_buffers: "512",
      wal_level: "minimal",
      max_wal_senders: "0",
      max_worker_processes: "0",
    });
  });

  test("its socket directory is closed to others", async () => {
    const { mode } = await stat(join(node.config.dir, "run", "control"));
    expect(mode & 0o777).toBe(0o700);
  });

  test("the log holds no statement and no verifier", async () => {
    const { readFile } = await import("node:fs/promises");
    const log = await readFile(join(node.config.dir, "log", "control.log"), "utf8");
    expect(log).not.toMatch(/SCRAM|STATEMENT/);
  });
});

describe("logging in over TCP", () => {
  test("a peer logs in with its derived password", async () => {
    const peer = await overTcp(node.config, "pgreplica_node_2", nodePassword(node.config, 2));
    const { rows } = await peer.query(
      "select pg_has_role('pgreplica_peer', 'member') as member, rolsuper from pg_roles where rolname = current_user",
    );
    await peer.end();
    expect(rows).toEqual([{ member: true, rolsuper: false }]);
  });

  test("another node's password is refused", async () => {
    const wrong = overTcp(node.config, "pgreplica_node_2", nodePassword(node.config, 3));
    await expect(wrong).rejects.toMatchObject({ code: "28P01" });
  });

  test("the superuser logs in with the configured password only", async () => {
    const operator = await overTcp(node.config, "postgres", "operator's own");
    await operator.end();
    await expect(overTcp(node.config, "postgres", "another")).rejects.toMatchObject({
      code: "28P01",
    });
  });
});

test("a second start adopts the running server", async () => {
  const [before] = await node.sql("select pg_postmaster_start_time() as at");
  const { server } = await node.start();
  expect(server.adopted).toBe(true);
  expect(await node.sql("select pg_postmaster_start_time() as at")).toEqual([before]);
});

test.each(["postmaster.pid", "socket"])(
  "it starts though a crash of the machine emptied the lock: %s",
  async (file) => {
    const { server } = await node.start();
    process.kill(server.pid, "SIGKILL");
    await server.exited;
    const { config } = node;
    const path =
      file === "socket"
        ? join(config.dir, "run", "control", `.s.PGSQL.${config.control.port}.lock`)
        : join(config.control.dir, file);
    await writeFile(path, "");
    await node.start();
    expect(await node.sql("select 1 as one")).toEqual([{ one: 1 }]);
  },
);

test("what it has promised survives kill -9 of the whole server", async () => {
  await node.sql("update raft.hard_state set current_term = 7, voted_for = 2");
  const { server } = await node.start();
  process.kill(server.pid, "SIGKILL");
  await server.exited;
  await node.start();
  expect(await node.sql("select current_term, voted_for from raft.hard_state")).toEqual([
    { current_term: "7", voted_for: 2 },
  ]);
});

describe("refuses to run (H51), naming what is unsafe:", () => {
  test.each(["fsync", "full_page_writes", "synchronous_commit"])("%s off", async (setting) => {
    await node.start();
    await node.sql(`alter system set ${setting} = off`);
    await node.stop();
    await expect(node.start()).rejects.toThrow(`${setting} is off, expected on`);
    await heal(`alter system reset ${setting}`);
    await node.start();
  });

  test("plpgsql.check_asserts off for one role", async () => {
    await node.start();
    await node.sql("alter role pgreplica_node_2 set plpgsql.check_asserts = off");
    await expect(node.start()).rejects.toThrow(
      "plpgsql.check_asserts=off of role pgreplica_node_2 in every database, expected on",
    );
    await heal("alter role pgreplica_node_2 reset all");
    await node.start();
  });

  test("synchronous_commit off for the database", async () => {
    await node.start();
    await node.sql("alter database postgres set synchronous_commit = off");
    await expect(node.start()).rejects.toThrow(UnsafeStore);
    await heal("alter database postgres reset all");
    await node.start();
  });

  test("an unlogged table of promises, and the server is stopped", async () => {
    await node.start();
    await node.sql("alter table raft.log set unlogged");
    await expect(node.start()).rejects.toThrow("table raft.log is unlogged");
    await expect(node.sql("select 1")).rejects.toThrow();
    await heal("alter table raft.log set logged");
    await node.start();
  });

  /** The store as an operator would start it, without us: asserts and settings are theirs to mend. */
  async function heal(statement: string): Promise<void> {
    const { binaries, owner, config } = node;
    const server = await startServer({
      binaries,
      dataDir: config.control.dir,
      owner,
      logFile: join(config.dir, "log", "control.log"),
    });
    await waitReady(server, { clock: monotonicClock, limitMs: 10_000 });
    await node.sql(statement);
    await server.stop("fast", 10_000);
  }
});

test("a port in use is told with the server's own words", async () => {
  const { occupy, release } = await import("../support/ports.ts");
  await node.stop();
  const held = await occupy(node.config.control.port);
  await expect(node.start()).rejects.toThrow(/could not bind|Address already in use/);
  await release(held);
  await node.start();
});

test("stopped, it leaves no process behind", async () => {
  const store = await node.start();
  await node.stop();
  expect(store.server.alive()).toBe(false);
  expect(await readdir(join(node.config.dir, "run", "control"))).toEqual([]);
  await chmod(node.config.control.dir, 0o700);
});
