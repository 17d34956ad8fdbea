/** What must not happen to a data directory, and what an interruption leaves behind. */
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ACTS } from "../../src/agent/acts.ts";
import { classify } from "../../src/agent/disk.ts";
import { look, rowOf } from "../../src/agent/observe.ts";
import { fenceServer, startGated } from "../../src/agent/servers.ts";
import { monotonicClock } from "../../src/clock/clock.ts";
import { exists, removeTree } from "../../src/postgres/files.ts";
import { startServer, waitReady } from "../../src/postgres/server.ts";
import { type Bench, client, openBench, orderFor, serve, sql, untilStreaming } from "./harness.ts";

let bench: Bench;

beforeAll(async () => {
  bench = await openBench(2);
  await serve(bench);
}, 60_000);
afterAll(() => bench?.stop(), 60_000);

test("a data directory nobody here made is refused and left alone", async () => {
  const second = bench.node(2);
  const { dataDir } = second.agent.paths;
  await mkdir(dataDir);
  await writeFile(join(dataDir, "precious"), "kept");
  const disk = await classify(second.agent);
  expect(disk).toMatchObject({ kind: "foreign" });
  expect(disk.problem).toMatch(/no PostgreSQL data directory/);
  expect(await readdir(dataDir)).toEqual(["precious"]);
  await removeTree(dataDir);
});

test("a copy is refused while unknown files stand where it would go", async () => {
  const second = bench.node(2);
  await mkdir(second.agent.paths.newDir);
  await writeFile(join(second.agent.paths.newDir, "precious"), "kept");
  await expect(ACTS.clone(second.agent, orderFor(second))).rejects.toThrow(/in the way/);
  expect(await readdir(second.agent.paths.newDir)).toEqual(["precious"]);
  await removeTree(second.agent.paths.newDir);
});

test("why a copy is tried again is this node's problem, until it goes on", async () => {
  const { agent, ...second } = bench.node(2);
  const problems: unknown[] = [];
  const copy: typeof agent.work.copy = async (order) => {
    order.onRetry?.("no room");
    problems.push(rowOf(agent, await classify(agent)).problem);
    await agent.work.copy(order);
    problems.push(rowOf(agent, await classify(agent)).problem);
    throw new Error("cut off");
  };
  const order = orderFor({ agent, ...second });
  await expect(ACTS.clone({ ...agent, work: { ...agent.work, copy } }, order)).rejects.toThrow();
  expect(problems).toEqual(["no room", null]);
}, 60_000);

test("an interrupted copy leaves nothing that starts, and the next copy completes", async () => {
  const second = bench.node(2);
  const controller = new AbortController();
  const copying = ACTS.clone(second.agent, orderFor(second, controller.signal));
  controller.abort(new Error("a newer epoch"));
  await expect(copying).rejects.toThrow();
  expect((await classify(second.agent)).kind).toBe("absent");
  await expect(startGated(second.agent)).rejects.toThrow();
  await ACTS.clone(second.agent, orderFor(second));
  expect((await classify(second.agent)).kind).toBe("joining");
  await ACTS.join(second.agent, orderFor(second));
  await untilStreaming(second);
  expect((await classify(second.agent)).kind).toBe("ours");
  const { marker, copying: note, newDir, oldDir } = second.agent.paths;
  for (const left of [marker, note, newDir, oldDir]) expect(await exists(left)).toBe(false);
}, 60_000);

test("an order of an older epoch does nothing", async () => {
  const second = bench.node(2);
  const order = orderFor(second);
  const before = second.agent.state.wanted;
  await expect(
    ACTS.follow(second.agent, { ...order, epoch: 0n, view: { ...order.view, epoch: 0n } }),
  ).rejects.toThrow(/an order of epoch 0/);
  expect(second.kept.view.followed).toBe(1n);
  second.agent.state.wanted = before;
  await ACTS.follow(second.agent, orderFor(second));
  await untilStreaming(second);
}, 60_000);

test("whoever restarts the primary gets a read-only server without upstream", async () => {
  const first = bench.node(1);
  const { agent } = first;
  await fenceServer(agent, "test");
  const { binaries, owner, paths } = agent;
  const server = await startServer({
    binaries,
    dataDir: paths.dataDir,
    owner,
    logFile: paths.logFile,
  });
  await waitReady(server, { clock: monotonicClock, limitMs: 10_000 });
  const rows = await sql(
    first,
    "select pg_is_in_recovery() as r, current_setting('primary_conninfo') as c",
  );
  expect(rows).toEqual([{ r: true, c: "" }]);
  await server.stop("fast", 10_000);
}, 60_000);

test("a diverged node is found out and becomes a copy of the primary", async () => {
  // Node 1 crashed with WAL node 2 never got; node 2 was appointed without it.
  const [first, second] = [bench.node(1), bench.node(2)];
  await look(second.agent);
  const from = second.agent.state.look?.replay_lsn ?? 0n;
  bench.commit(
    { epoch: 2n, pledge: 2n, epoch_state: "appointed", primary_id: 2, timeline: 3, from_lsn: from },
    (id) => (id === 2 ? "primary" : "standby"),
  );
  await ACTS.promote(second.agent, orderFor(second));
  const { switchLsn = 0n } = second.agent.state.leads ?? {};
  // As if it had committed more than it had sent.
  const history = [
    { epoch: 1n, node_id: 1, timeline: 2, switch_lsn: 0n, from_epoch: 0n },
    { epoch: 2n, node_id: 2, timeline: 3, switch_lsn: switchLsn - 8n, from_epoch: 1n },
  ];
  bench.commit({ epoch_state: "serving", switch_lsn: switchLsn, history });
  await ACTS.start(first.agent, orderFor(first));
  await ACTS.follow(first.agent, orderFor(first));
  expect(first.agent.state.rejoin).toMatchObject({ epoch: 2n, by: "rewind" });
  expect(first.kept.view.followed).toBe(1n);
  await ACTS.clone(first.agent, orderFor(first));
  await ACTS.join(first.agent, orderFor(first));
  await untilStreaming(first);
  expect(await sql(first, "select max(epoch)::int as e from pgreplica.stamp")).toEqual([{ e: 2 }]);
}, 60_000);

test("a promotion that is spent is never ordered again", async () => {
  const first = bench.node(1);
  bench.commit({ primary_id: 1, timeline: 3 }, (id) => (id === 1 ? "primary" : "standby"));
  await expect(ACTS.promote(first.agent, orderFor(first))).rejects.toThrow(/knows of 3 already/);
  expect(await sql(first, "select pg_is_in_recovery() as r")).toEqual([{ r: true }]);
}, 60_000);

test("a session that was open before the promotion does not survive it", async () => {
  const first = bench.node(1);
  await bench.node(2).agent.state.server?.stop("immediate", 10_000);
  const { lsn } = { lsn: first.agent.state.look?.replay_lsn ?? 0n };
  bench.commit(
    { epoch: 3n, pledge: 3n, primary_id: 1, epoch_state: "appointed", timeline: 4, from_lsn: lsn },
    (id) => (id === 1 ? "primary" : "standby"),
  );
  await startGated(first.agent, { listen: true, gate: "open" });
  const session = await client(first);
  session.on("error", () => undefined);
  await ACTS.promote(first.agent, orderFor(first));
  await expect(session.query("select 1")).rejects.toThrow();
}, 60_000);
