/** An archive that fails is told of, once, and so is its end; one that hangs holds up no switchover (F51). */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ACTS } from "../../src/agent/acts.ts";
import { watchArchive } from "../../src/agent/archive.ts";
import { monotonicClock, waitUntil } from "../../src/clock/clock.ts";
import { readControlFile } from "../../src/postgres/control-file.ts";
import { processInfo } from "../../src/postgres/process-tree.ts";
import {
  type Bench,
  client,
  copyAndJoin,
  openBench,
  orderFor,
  serve,
  sql,
  within,
} from "./harness.ts";

let bench: Bench;

beforeAll(async () => {
  bench = await openBench(2);
  for (const { agent } of bench.nodes) {
    Object.assign(agent.data.settings, { archive_mode: "on", archive_command: "true" });
  }
  await serve(bench);
  await copyAndJoin(bench.node(2));
  await sql(bench.node(1), "create table t (n int)");
}, 60_000);
afterAll(() => bench?.stop(), 60_000);

const setCommand = async (command: string) => {
  const node = bench.node(1);
  await sql(node, `alter system set archive_command = '${command}'`);
  await sql(node, "select pg_reload_conf()");
  await sql(node, "insert into t values (1)");
  await sql(node, "select pg_switch_wal()");
};

test("a command that fails is told of with what waits, and again when it works", async () => {
  const node = bench.node(1);
  const db = await client(node);
  const told = () => node.kept.acts.map(({ event }) => event);
  try {
    expect(await watchArchive(node.agent, db, undefined)).toBe(false);
    await setCommand("false");
    await waitUntil("it is told", within(10_000), () => watchArchive(node.agent, db, false));
    expect(await watchArchive(node.agent, db, true)).toBe(true);
    // Whoever is new knows it from the events: another worker, another primary.
    expect(await watchArchive(node.agent, db, undefined)).toBe(true);
    expect(told()).toEqual(["archive_fails"]);
    expect(node.kept.acts[0]?.reason).toMatch(
      /^archive_command failed on [0-9A-F]{24}: \d+ segments? waits? and (is|are) kept$/,
    );
    await setCommand("true");
    await waitUntil("its end is told", within(70_000), async () => {
      return !(await watchArchive(node.agent, db, undefined));
    });
    expect(await watchArchive(node.agent, db, undefined)).toBe(false);
    expect(told()).toEqual(["archive_fails", "archive_works"]);
  } finally {
    await db.end();
  }
}, 90_000);

test("a hand-over is told while the archiver still runs, and the server ends when that has", async () => {
  const [first, second] = [bench.node(1), bench.node(2)];
  const [{ pid: receiver = 0 } = {}] = await sql<{ pid: number }>(
    second,
    "select pid from pg_stat_activity where backend_type = 'walreceiver'",
  );
  process.kill(receiver, "SIGSTOP");
  await setCommand("sleep 8");
  const { pid = 0 } = first.agent.state.server ?? {};
  bench.commit({ handover_to: 2 }, (id) => (id === 1 ? "hand_over" : "standby"));
  const act = ACTS.hand_over(first.agent, orderFor(first));
  try {
    await waitUntil("the shutdown checkpoint", within(5000), async () => {
      return (await readControlFile(first.agent.paths.dataDir)).state === "shut_down";
    });
    await monotonicClock.sleep(500);
    expect(first.kept.handed, "the standby has not got the end").toEqual([]);
  } finally {
    process.kill(receiver, "SIGCONT");
  }
  await waitUntil("the hand-over is told", within(5000), () => first.kept.handed.length > 0);
  const [{ shutdownLsn = 0n, problem } = {}] = first.kept.handed;
  expect(problem).toBeUndefined();
  expect(processInfo(pid)).toBeDefined();
  expect(first.agent.lease.held()).toBe(false);
  // Nobody waits for the rest: the standby has it.
  const [row] = await sql<{ lsn: string }>(
    second,
    "select pg_last_wal_receive_lsn() - '0/0' as lsn",
  );
  expect(BigInt(row?.lsn ?? 0)).toBeGreaterThanOrEqual(shutdownLsn);
  await act;
  expect(processInfo(pid)).toBeUndefined();
  expect(first.kept.handed).toHaveLength(1);
}, 60_000);
