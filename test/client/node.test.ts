/** One server's connections, whoever asks for them at the moment they are given up. */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Call } from "../../src/client/call.ts";
import { Executor } from "../../src/client/execute.ts";
import { Link } from "../../src/client/link.ts";
import { Node } from "../../src/client/node.ts";
import { settingsOf } from "../../src/client/options.ts";
import { Topology } from "../../src/client/topology.ts";
import { monotonicClock } from "../../src/clock/clock.ts";
import { openServers, type Servers } from "./servers.ts";

let servers: Servers;
beforeAll(async () => {
  servers = await openServers(0);
}, 60_000);
afterAll(() => servers?.close());

test("a statement that cannot be put into messages rejects, and its connection goes on", async () => {
  const settings = settingsOf({ ...servers.options, poolSize: 1 });
  const [at] = settings.hosts;
  if (at === undefined) throw new Error("no host");
  const link = new Link(at, settings);
  await link.connect();
  const run = (n: number) =>
    link.run({ text: "select 1", values: Array(n).fill("1"), types: pg.types, array: true });
  await expect(run(65_536)).rejects.toThrow("65536 parameters: a statement takes 65535 at most");
  expect(await run(0)).toMatchObject({ rows: [[1]] });
  link.destroy();
}, 20_000);

test("who was promised an idle connection just before it is suspected has one all the same", async () => {
  const settings = settingsOf({ ...servers.options, poolSize: 1 });
  const [at] = settings.hosts;
  if (at === undefined) throw new Error("no host");
  const node = new Node(at, settings, monotonicClock);
  const patience = { acquireUntil: monotonicClock.now() + 5000, stop: undefined };
  try {
    (await node.lease(patience)).release();
    const promised = node.lease(patience);
    node.suspect();
    const lease = await promised;
    expect((await lease.link.query("select 1 as v")).rows).toEqual([{ v: 1 }]);
    lease.release();
    (await node.lease(patience)).release();
    expect(node.inUse).toBe(0);
  } finally {
    await node.end();
  }
}, 20_000);

test("a write whose connection is dropped before it was sent is no doubt: it goes out on another", async () => {
  const settings = settingsOf(servers.options);
  const topology = new Topology(settings, monotonicClock);
  const executor = new Executor(settings, topology);
  const write = () => {
    const call = new Call(monotonicClock, settings.acquireTimeoutMs, {});
    const sql = "insert into written values (1)";
    return executor.statement(call, { sql, params: [], options: {} }).finally(() => call.end());
  };
  await servers.all[0]?.sql("create table written (v int)");
  try {
    await write();
    const second = write(); // promised the idle connection
    topology.primary?.drop(new Error("dropped by the test"));
    expect(await second).toMatchObject({ rowCount: 1 });
    expect(await servers.all[0]?.value("select count(*) from written")).toBe("2");
  } finally {
    await topology.end();
  }
}, 20_000);
