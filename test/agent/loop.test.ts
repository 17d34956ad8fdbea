/** The loop on a real server: it adopts, notices death, buries, and starts again only read-only. */
import { mkdir, rm, rmdir } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runAgentOn } from "../../src/agent/agent.ts";
import type { LeaseSource } from "../../src/agent/lease.ts";
import { monotonicClock, waitUntil } from "../../src/clock/clock.ts";
import { surelyOverMs } from "../../src/core/lease.ts";
import { type Hints, quietHints } from "../../src/db/hints.ts";
import { createLog } from "../../src/log/logger.ts";
import { readDeadman } from "../../src/postgres/deadman.ts";
import { exists } from "../../src/postgres/files.ts";
import { readPidFile } from "../../src/postgres/pid-file.ts";
import { isAlive } from "../../src/postgres/process-tree.ts";
import { skip } from "../support/skip.ts";
import {
  alwaysConfirmed,
  type Bench,
  client,
  type Node,
  openBench,
  serve,
  sql,
  within,
} from "./harness.ts";

let bench: Bench;
let node: Node;
let stop: () => Promise<void> = async () => undefined;
let hints: Hints;
/** Whether a majority confirms this node. */
let confirmed = true;
const source: LeaseSource = {
  ...alwaysConfirmed,
  confirmedAt: (epoch) => (confirmed ? alwaysConfirmed.confirmedAt(epoch) : undefined),
};

/** A worker's agent over the same promises; `stop` ends it and leaves the server. */
function runWorker(): void {
  const controller = new AbortController();
  node.kept.rows.length = 0;
  hints = quietHints();
  const { config, binaries, owner, store, work } = node.agent;
  const shared = { config, binaries, owner, store, work };
  const options = {
    ...shared,
    clock: monotonicClock,
    log: createLog({}, { level: process.env.AGENT_LOG ?? "fatal" }),
    hints,
  };
  const lease = { source, random: Math.random };
  const running = runAgentOn({ ...options, lease, signal: controller.signal });
  stop = async () => {
    controller.abort();
    await running;
  };
}

/** The chain of appointments with one more. */
const after = (epoch: bigint, timeline: number, switch_lsn: bigint) => [
  ...node.kept.view.history,
  { epoch, node_id: 1, timeline, switch_lsn, from_epoch: epoch - 1n },
];

const lastRow = () => node.kept.rows.at(-1) ?? {};
const seen = (name: string, row: Record<string, unknown>, limitMs = 10_000) =>
  waitUntil(name, within(limitMs), () =>
    Object.entries(row).every(
      ([key, value]) => JSON.stringify(lastRow()[key]) === JSON.stringify(value),
    ),
  );

beforeAll(async () => {
  bench = await openBench(1);
  node = bench.node(1);
  await serve(bench);
  await bench.leave();
}, 60_000);
afterAll(async () => {
  await stop();
  await bench?.stop();
}, 60_000);

test("a new worker adopts the running primary of its epoch and leaves it untouched", async () => {
  const before = readPidFile(node.agent.paths.dataDir)?.pid;
  const [{ started } = { started: "" }] = await sql<{ started: string }>(
    node,
    "select pg_postmaster_start_time()::text as started",
  );
  runWorker();
  await seen("it serves", { role: "primary", gate_open: true, writable: true, epoch: "1" });
  expect(readPidFile(node.agent.paths.dataDir)?.pid).toBe(before);
  expect(await sql(node, "select pg_postmaster_start_time()::text as started")).toEqual([
    { started },
  ]);
}, 60_000);

test("when the worker ends, the server runs on", async () => {
  await stop();
  expect(await sql(node, "select pg_is_in_recovery() as r")).toEqual([{ r: false }]);
  runWorker();
  await seen("it serves again", { role: "primary", writable: true });
}, 60_000);

test("a stopped postmaster is said to hang, though an open connection still answers", async () => {
  const pid = readPidFile(node.agent.paths.dataDir)?.pid ?? 0;
  process.kill(pid, "SIGSTOP");
  await seen("it hangs", { role: "primary", hung: true, writable: false });
  process.kill(pid, "SIGCONT");
  await seen("it answers again", { role: "primary", hung: false, writable: true });
}, 60_000);

test("a dead primary is said to be gone, with its leftovers, before anything is started", async () => {
  const pid = readPidFile(node.agent.paths.dataDir)?.pid ?? 0;
  process.kill(pid, "SIGKILL");
  await seen("it is gone", { role: "none", gone: true, gate_open: false, writable: false });
}, 60_000);

test("nobody takes over: it comes back read-only, and this epoch promotes no second time", async () => {
  await seen("it is a standby", { role: "standby", state: "running", gone: false }, 20_000);
  expect(await sql(node, "select pg_is_in_recovery() as r")).toEqual([{ r: true }]);
  expect(lastRow().problem).toMatch(/one promotion is spent/);
}, 60_000);

test("pledged, it reports; appointed again, it serves in the next epoch", async () => {
  bench.commit(
    { epoch: 2n, pledge: 2n, epoch_state: "opened", primary_id: null, reported: false },
    () => "pledged",
  );
  hints.nudge();
  await waitUntil("its report", within(10_000), () => node.kept.reports.length > 0);
  const { lsn = 0n } = node.kept.reports.at(-1) ?? {};
  const history = [
    ...node.kept.view.history,
    { epoch: 2n, node_id: 1, timeline: 3, switch_lsn: lsn, from_epoch: 1n },
  ];
  bench.commit(
    { epoch_state: "appointed", primary_id: 1, timeline: 3, from_lsn: lsn, history },
    () => "primary",
  );
  hints.nudge();
  await seen("it serves epoch 2", { role: "primary", gate_open: true, epoch: "2", timeline: 3 });
}, 60_000);

test("D7: a deadman that stands still is replaced while its primary serves (H30)", async () => {
  const { deadmanDir, dataDir } = node.agent.paths;
  const before = readDeadman(deadmanDir)?.deadman;
  if (before === undefined) throw new Error("a primary has a deadman");
  process.kill(before.pid, "SIGSTOP");
  const armed = await waitUntil("another is armed", within(10_000), () => {
    const found = readDeadman(deadmanDir);
    return found !== undefined && found.deadman.pid !== before.pid && found;
  });
  expect(armed.server.pid).toBe(readPidFile(dataDir)?.pid);
  expect(isAlive(before)).toBe(false);
}, 60_000);

test("a watchdog that may be opened and is not to be had costs no deadman", async (context) => {
  const device = "/dev/watchdog";
  if (process.getuid?.() !== 0) return skip(context, "making a device's name needs root");
  if (await exists(device)) return skip(context, "there is one");
  const { deadmanDir } = node.agent.paths;
  const before = readDeadman(deadmanDir)?.deadman;
  if (before === undefined) throw new Error("a primary has a deadman");
  Object.assign(node.agent.config, { watchdog: "auto" });
  // Root may write to it, and cannot open it.
  await mkdir(device);
  try {
    process.kill(before.pid, "SIGKILL");
    await waitUntil("another is armed", within(10_000), () => {
      const found = readDeadman(deadmanDir);
      return found !== undefined && found.deadman.pid !== before.pid;
    });
  } finally {
    await rmdir(device);
    Object.assign(node.agent.config, { watchdog: "off" });
  }
}, 60_000);

test("an open epoch ends a running primary, and it reports as a standby", async () => {
  bench.commit(
    { epoch: 3n, pledge: 3n, epoch_state: "opened", primary_id: null, reported: false },
    () => "pledged",
  );
  hints.nudge();
  await waitUntil("its report", within(20_000), () => node.kept.reports.at(-1)?.epoch === 3n);
  expect(node.kept.acts.map(({ event }) => event)).toContain("fenced");
  expect(await sql(node, "select pg_is_in_recovery() as r")).toEqual([{ r: true }]);
}, 60_000);

test("D7: a lease that nobody renews ends a serving primary in time, and it comes back read-only", async () => {
  const { lsn = 0n } = node.kept.reports.at(-1) ?? {};
  bench.commit(
    {
      epoch_state: "appointed",
      primary_id: 1,
      timeline: 4,
      from_lsn: lsn,
      history: after(3n, 4, lsn),
    },
    () => "primary",
  );
  hints.nudge();
  await seen("it serves epoch 3", { role: "primary", gate_open: true, writable: true, epoch: "3" });
  const session = await client(node);
  const deadman = readDeadman(node.agent.paths.deadmanDir);
  expect(deadman?.server.pid).toBe(readPidFile(node.agent.paths.dataDir)?.pid);

  confirmed = false;
  const since = monotonicClock.now();
  let last = since;
  for (let served = true; served; ) {
    served = await session.query("select 1").then(
      () => true,
      () => false,
    );
    if (served) last = monotonicClock.now();
    await monotonicClock.sleep(10);
  }
  console.log(`served for ${Math.round(last - since)} ms without a renewal`);
  expect(last - since).toBeLessThan(surelyOverMs({ leaseMs: node.agent.config.timing.leaseMs }));
  await seen("it is a standby", { role: "standby", writable: false }, 20_000);
  const fenced = node.kept.acts.filter(({ event }) => event === "fenced");
  expect(fenced.at(-1)?.reason).toMatch(/no majority renewed|lease was not renewed/);
  expect(readDeadman(node.agent.paths.deadmanDir)).toBeUndefined();
  // It takes more than a majority that is back: this epoch's one promotion is spent.
  confirmed = true;
  expect(await sql(node, "select pg_is_in_recovery() as r")).toEqual([{ r: true }]);
}, 60_000);

test("strict reads: nobody is served before an old primary that was not proved fenced is surely over", async () => {
  Object.assign(node.agent.config, { strictReads: true });
  bench.commit(
    { epoch: 4n, pledge: 4n, epoch_state: "opened", primary_id: null, reported: false },
    () => "pledged",
  );
  hints.nudge();
  await waitUntil("its report", within(20_000), () => node.kept.reports.at(-1)?.epoch === 4n);
  const { lsn = 0n } = node.kept.reports.at(-1) ?? {};
  const since = monotonicClock.now();
  bench.commit(
    {
      epoch_state: "appointed",
      primary_id: 1,
      timeline: 5,
      from_lsn: lsn,
      history: after(4n, 5, lsn),
      old_fenced: false,
    },
    () => "primary",
  );
  hints.nudge();
  await seen("it is promoted, and serves nobody", {
    role: "primary",
    gate_open: false,
    epoch: "4",
  });
  await expect(client(node)).rejects.toThrow(/pg_hba.conf/);
  await seen("it serves epoch 4", { gate_open: true, writable: true, epoch: "4" });
  expect(monotonicClock.now() - since).toBeGreaterThan(
    surelyOverMs({ leaseMs: node.agent.config.timing.leaseMs }),
  );
}, 60_000);

test("H05: a primary that ends with its data is proved fenced too: where nobody confirms, another waits for that", async () => {
  const { dataDir } = node.agent.paths;
  const pid = readPidFile(dataDir)?.pid ?? 0;
  process.kill(pid, "SIGKILL");
  await rm(dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  await seen("it is fenced", { role: "none", gone: true, state: "fenced" });
}, 60_000);
