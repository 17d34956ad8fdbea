/** One server's connections, whoever asks for them at the moment they are given up. */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Call, type CallLimits } from "../../src/client/call.ts";
import { Executor } from "../../src/client/execute.ts";
import { Link } from "../../src/client/link.ts";
import { Node } from "../../src/client/node.ts";
import { settingsOf } from "../../src/client/options.ts";
import { Topology } from "../../src/client/topology.ts";
import { monotonicClock } from "../../src/clock/clock.ts";
import { errorOf } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { openProxy } from "./proxy.ts";
import { openServers, type Servers } from "./servers.ts";
import { openStranger } from "./stranger.ts";

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
  const patience = new Call(monotonicClock, 5000, {});
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
    patience.end();
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

/** To the server by way of a proxy that has let one session through, the one that asks how it is, and keeps others. */
async function heldAt() {
  const [server] = servers.all;
  if (server === undefined) throw new Error("no server");
  const proxy = await openProxy(server);
  const settings = settingsOf({
    ...servers.options,
    hosts: [`127.0.0.1:${proxy.port}`],
    acquireTimeoutMs: 400,
    connectTimeoutMs: 20_000,
  });
  const topology = new Topology(settings, monotonicClock);
  const first = new Call(monotonicClock, 5000, {});
  await topology.find({ mode: "read-write" }, first).finally(() => first.end());
  const letGo = proxy.hold();
  const acquire = async (limits: CallLimits = {}) => {
    const call = new Call(monotonicClock, settings.acquireTimeoutMs, limits);
    return await topology.acquire({ mode: "read-write" }, call).finally(() => call.end());
  };
  const close = async () => {
    letGo();
    await topology.end();
    await proxy.close();
  };
  return { topology, proxy, letGo, acquire, close };
}

test("a connection that was being dialled when its node was fenced is not given out", async () => {
  const { topology, proxy, letGo, acquire, close } = await heldAt();
  try {
    const failed = errorOf(acquire());
    await until("it is being dialled", { limitMs: 3000, everyMs: 1 }, () => proxy.held === 1);
    topology.setPrimary(undefined, 7n);
    letGo();
    expect(await failed).toMatchObject({ code: "NO_PRIMARY" });
    expect(topology.nodes.map(({ inUse }) => inUse)).toEqual([0]);
  } finally {
    await close();
  }
}, 20_000);

test("who waits while one is dialled waits no longer than he may; the connection is the next one's", async () => {
  const { topology, proxy, letGo, acquire, close } = await heldAt();
  try {
    await expect(acquire()).rejects.toMatchObject({ code: "NO_PRIMARY" });
    await expect(acquire({ timeoutMs: 50 })).rejects.toMatchObject({ code: "TIMEOUT" });
    const stop = new AbortController();
    const stopped = errorOf(acquire({ signal: stop.signal }));
    await until("all are being dialled", { limitMs: 3000, everyMs: 1 }, () => proxy.held === 3);
    stop.abort();
    expect(await stopped).toMatchObject({ code: "ABORTED" });
    letGo();
    await until("they are there", { limitMs: 5000 }, () =>
      topology.nodes.every(({ idle, inUse }) => idle === 3 && inUse === 0),
    );
    (await acquire()).release();
  } finally {
    await close();
  }
}, 20_000);

test("a connection that is destroyed while it is dialled is dialled no further", async () => {
  const silent = await openStranger("silence");
  const settings = settingsOf({ hosts: ["127.0.0.1"], user: "u", connectTimeoutMs: 60_000 });
  const link = new Link({ host: "127.0.0.1", port: silent.port }, settings);
  try {
    const failed = errorOf(link.connect());
    await until("it is dialled", { limitMs: 3000, everyMs: 1 }, () => silent.open === 1);
    link.destroy();
    expect((await failed).message).toContain("it was dropped");
    await until("its socket is closed", { limitMs: 3000, everyMs: 1 }, () => silent.open === 0);
  } finally {
    await silent.close();
  }
}, 20_000);
