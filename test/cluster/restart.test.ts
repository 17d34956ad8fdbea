/** Workers come and go without a failover; a data server started by anyone comes up read-only. */

import { readFile } from "node:fs/promises";
import { getPriority } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { TIMING_PRESETS } from "../../src/config/schema.ts";
import { NICE } from "../../src/postgres/priority.ts";
import { postmasterOf } from "../support/cluster.ts";
import { expectWithin, useCluster } from "../support/fixture.ts";
import { onPrimary, untilHealthy } from "../support/health.ts";
import { watchLag } from "../support/lag.ts";
import { allProcesses, readProcess, signalAtOnce, withDescendants } from "../support/processes.ts";
import { mustRun, needProgram } from "../support/programs.ts";
import { nextWriter } from "../support/round.ts";
import { open, rows, value, writesThatPass } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

const cluster = useCluster();

const postmasters = () =>
  cluster().nodes.map(({ id, data }) => postmasterOf(cluster().dataServerOf(id), data.dir).pid);

/** Deadmen of one node, by their command: its folder is an argument. */
const deadmenOf = (id: number) =>
  allProcesses()
    .filter(({ command }) =>
      command.includes(`deadman.sh ${dirname(cluster().node(id).data.dir)}/`),
    )
    .map(({ pid, startTicks }) => ({ pid, startTicks }));

test("where it may, the control plane goes before what waits for it, and never the data server", () => {
  const { worker, control, data } = cluster().node(1);
  if (worker.pid === null || control.pid === null || data.pid === null) throw new Error("not up");
  const niceOfWorker = getPriority(worker.pid);
  const privileged = process.getuid?.() === 0;
  expect(niceOfWorker).toBe(privileged ? NICE.worker : NICE.others);
  for (const { pid } of deadmenOf(1)) expect(getPriority(pid)).toBe(niceOfWorker);
  const nices = (pid: number) =>
    withDescendants(allProcesses(), [pid]).map((one) => getPriority(one.pid));
  expect(new Set(nices(control.pid))).toEqual(new Set([privileged ? NICE.control : NICE.others]));
  expect(new Set(nices(data.pid))).toEqual(new Set([NICE.others]));
});

/** End it, and wait until its successor is at work; milliseconds in between. */
async function restartWorker(id: number, signal: "SIGKILL" | "SIGTERM"): Promise<number> {
  const log = join(dirname(cluster().node(id).data.dir), "log", "worker.log");
  const starts = async () => (await readFile(log, "utf8")).split('"event":"worker.started"').length;
  const before = await starts();
  const { pid } = cluster().node(id).worker;
  const worker = pid === null ? undefined : readProcess(pid);
  if (worker === undefined) throw new Error(`worker ${id} does not run`);
  const at = signalAtOnce([worker], signal);
  await until(`worker ${id} is back`, { limitMs: 30_000, everyMs: 20 }, async () => {
    await cluster().refresh();
    return (await starts()) > before;
  });
  return Math.round(performance.now() - at);
}

/** One loss at a time: what the last one took of the primary's lease is given back by then. */
const aLease = () => monotonicClock.sleep(TIMING_PRESETS.lan.lease_ms);

test.each(["SIGKILL", "SIGTERM"] as const)(
  "%s to the worker of each node in turn: its successor adopts the servers, nothing fails over",
  async (signal) => {
    const before = await untilHealthy(cluster());
    await createWriterTable(cluster().node(before.primary).data.uri);
    const servers = postmasters();
    const deadman = deadmenOf(before.primary);
    expect(deadman).toHaveLength(1);
    const session = await open(cluster().node(before.primary).data.uri);
    const [{ pid }] = (await session.query("select pg_backend_pid() as pid")).rows;
    const writer = startWriter({ hosts: cluster().dataUris(), writer: nextWriter(), everyMs: 5 });
    await writer.untilAcknowledged(50, 10_000);
    const since = performance.now();
    const lag = watchLag();
    let awayMs = 0;
    for (const { id } of cluster().nodes) {
      const away = await restartWorker(id, signal);
      if (id === before.primary) awayMs = away;
      await untilHealthy(cluster());
      await aLease();
    }
    const gap = writer.gapSince(since).ms;
    await writer.stop();
    const after = await untilHealthy(cluster());
    // It has to be back, and to have renewed the lease, before its predecessor's ends.
    expectWithin("worker back", awayMs, TIMING_PRESETS.lan.lease_ms / 2, lag.stop());
    expect(after).toMatchObject({ primary: before.primary, epoch: before.epoch });
    expect(postmasters()).toEqual(servers);
    // The same deadman, no second one; and nobody lost a connection.
    expect(deadmenOf(before.primary)).toEqual(deadman);
    for (const id of before.standbys) expect(deadmenOf(id)).toEqual([]);
    expect((await session.query("select pg_backend_pid() as pid")).rows).toEqual([{ pid }]);
    await session.end();
    expectWithin("longest write gap", gap, 1000);
    const result = await writer.check(cluster().node(after.primary).data.uri);
    expect(result).toMatchObject({ lost: [], invented: [] });
  },
);

test("a control store is killed on each node in turn: it comes back, the data servers run on", async () => {
  const before = await untilHealthy(cluster());
  const servers = postmasters();
  for (const { id } of cluster().nodes) {
    const { pid, uri } = cluster().node(id).control;
    if (pid === null) throw new Error(`control store ${id} does not run`);
    process.kill(pid, "SIGKILL");
    await until(`control store ${id} answers again`, { limitMs: 10_000 }, async () => {
      await cluster().refresh();
      const { pid: now } = cluster().node(id).control;
      return now !== null && now !== pid && (await value(uri, "select 1")) === "1";
    });
    await untilHealthy(cluster());
    await aLease();
  }
  const after = await untilHealthy(cluster());
  expect(after).toMatchObject({ primary: before.primary, epoch: before.epoch });
  expect(postmasters()).toEqual(servers);
});

test("a stopped primary that is started by hand comes up read-only, whoever asks how", async () => {
  const { primary } = await untilHealthy(cluster());
  await onPrimary(cluster(), "create table if not exists rogue (tried timestamptz default now())");
  await cluster().stop();

  const { dir, port } = cluster().node(primary).data;
  const socket = join(dirname(dir), "run/data");
  const uid = Number(await mustRun("stat", ["-c", "%u", dir]));
  const gid = Number(await mustRun("stat", ["-c", "%g", dir]));
  const log = join(dirname(dir), "by-hand.log");
  await mustRun("touch", [log]);
  await mustRun("chown", [`${uid}:${gid}`, log]);
  const control = (...args: string[]) =>
    mustRun(needProgram("pg_ctl"), ["-D", dir, ...args], { uid, gid });
  await control("start", "-l", log, "-w", "-t", "20");
  try {
    const uri = `postgresql://postgres@/postgres?host=${encodeURIComponent(socket)}&port=${port}`;
    expect(await value(uri, "select pg_is_in_recovery()")).toBe("true");
    expect(await writesThatPass(uri, "insert into rogue default values")).toEqual([]);
  } finally {
    await control("stop", "-m", "fast", "-w");
  }

  await cluster().restart();
  const after = await untilHealthy(cluster());
  const { uri } = cluster().node(after.primary).data;
  expect(await rows(uri, "select * from rogue")).toEqual([]);
});

test("the whole cluster stops and starts again from its folder, again and again", async () => {
  await onPrimary(cluster(), "create table if not exists rounds (n integer)");
  for (const round of [1, 2]) {
    await onPrimary(cluster(), "insert into rounds values ($1)", [round]);
    await cluster().stop();
    await cluster().restart();
    const { primary } = await untilHealthy(cluster());
    const count = "select count(*) from rounds";
    expect(await value(cluster().node(primary).data.uri, count)).toBe(`${round}`);
  }
});
