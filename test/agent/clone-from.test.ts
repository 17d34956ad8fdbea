/** A standby that is named for it is copied instead of the primary, and never for less than the primary's copy (D1). */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ACTS } from "../../src/agent/acts.ts";
import type { Agent } from "../../src/agent/context.ts";
import { fenceServer } from "../../src/agent/servers.ts";
import { waitUntil } from "../../src/clock/clock.ts";
import { formatLsn, type Lsn, parseLsn } from "../../src/core/ids.ts";
import { createLog } from "../../src/log/logger.ts";
import { readControlFile } from "../../src/postgres/control-file.ts";
import {
  type Bench,
  copyAndJoin,
  type Node,
  openBench,
  orderFor,
  serve,
  sql,
  untilStreaming,
  within,
} from "./harness.ts";

let bench: Bench;

beforeAll(async () => {
  bench = await openBench(3, createLog({}, { level: process.env.AGENT_LOG ?? "fatal" }));
  await serve(bench);
  await copyAndJoin(bench.node(2));
  await sql(bench.node(1), "create table t (n int)");
  const { members } = bench.node(1).kept.view;
  bench.commit({
    members: members.map((one) => ({ ...one, clone_from: one.node_id === 2 })),
  });
}, 60_000);
afterAll(() => bench?.stop(), 60_000);

const lastCopy = (node: Node) => node.kept.acts.findLast(({ event }) => event === "cloned");
const rowCount = (node: Node) => sql<{ n: number }>(node, "select count(*)::int as n from t");

async function flushed(): Promise<Lsn> {
  const text = "select pg_current_wal_flush_lsn()::text as at";
  const [row] = await sql<{ at: string }>(bench.node(1), text);
  return parseLsn(row?.at ?? "");
}

/** The same agent, whose copies of one node are told of, and changed. */
function copying(node: Node, of: number, change: Partial<Agent["work"]>["copy"]) {
  const { work } = node.agent;
  const sources: number[] = [];
  const copy: typeof work.copy = (order) => {
    sources.push(bench.nodes.find(({ port }) => port === order.port)?.id ?? 0);
    return order.port === bench.node(of).port && change !== undefined
      ? change(order)
      : work.copy(order);
  };
  return { sources, agent: { ...node.agent, work: { ...work, copy } } };
}

test("a newcomer copies the standby, and streams from the primary", async () => {
  const third = bench.node(3);
  await sql(bench.node(1), "insert into t select generate_series(1, 1000)");
  const { sources, agent } = copying(third, 2, undefined);
  await ACTS.clone(agent, orderFor(third));
  expect(sources).toEqual([2]);
  expect(lastCopy(third)).toMatchObject({
    reason: "copied from node 2: test",
    detail: { source: 2 },
  });
  await ACTS.join(third.agent, orderFor(third));
  await untilStreaming(third);
  expect(await rowCount(third)).toEqual([{ n: 1000 }]);
  const text = "select count(*)::int as n from pg_stat_replication where state = 'streaming'";
  expect(await sql(bench.node(1), text)).toEqual([{ n: 2 }]);
}, 60_000);

test("what this node may have confirmed is in the copy, though the standby replays it late", async () => {
  const [second, third] = [bench.node(2), bench.node(3)];
  await sql(second, "select pg_wal_replay_pause()");
  await sql(bench.node(1), "insert into t select generate_series(1, 1000)");
  const confirmed = await flushed();
  const at = formatLsn(confirmed);
  await fenceServer(third.agent, "test");
  const copied = ACTS.clone(third.agent, orderFor(third));
  const text = `select redo_lsn >= '${at}' as past from pg_control_checkpoint()`;
  await waitUntil("the primary's checkpoint", within(10_000), async () => {
    const [row] = await sql<{ past: boolean }>(bench.node(1), text);
    return row?.past === true;
  });
  expect(third.agent.state.standbyTried).toBeUndefined();
  await sql(second, "select pg_wal_replay_resume()");
  await copied;
  expect(lastCopy(third)?.reason).toBe("copied from node 2: test");
  const { minRecoveryLsn } = await readControlFile(third.agent.paths.dataDir);
  expect(minRecoveryLsn).toBeGreaterThanOrEqual(confirmed);
  await ACTS.join(third.agent, orderFor(third));
  await untilStreaming(third);
  expect(await rowCount(third)).toEqual([{ n: 2000 }]);
}, 60_000);

test("a newer epoch waits for no primary that has stopped answering in the middle of its checkpoint", async () => {
  const [first, third] = [bench.node(1), bench.node(3)];
  const [{ pid } = { pid: 0 }] = await sql<{ pid: number }>(
    first,
    "select pid from pg_stat_activity where backend_type = 'checkpointer'",
  );
  const newer = new AbortController();
  process.kill(pid, "SIGSTOP");
  try {
    const copying = ACTS.clone(third.agent, orderFor(third, newer.signal));
    const ended = expect(copying).rejects.toThrow("a newer epoch");
    await waitUntil("the checkpoint asked for", within(10_000), async () => {
      const text =
        "select from pg_stat_activity where state = 'active' and query ilike 'checkpoint%'";
      return (await sql(first, text)).length > 0;
    });
    newer.abort(new Error("a newer epoch"));
    await ended;
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await ACTS.clone(third.agent, orderFor(third));
  await ACTS.join(third.agent, orderFor(third));
  await untilStreaming(third);
}, 40_000);

test("a copy that ends too early is thrown away, and so is one that fails: the primary is copied", async () => {
  const third = bench.node(3);
  const early = copying(third, 2, async (order) => {
    return { ...(await third.agent.work.copy(order)), endLsn: 1n };
  });
  await ACTS.clone(early.agent, orderFor(third));
  expect(early.sources).toEqual([2, 1]);
  expect(lastCopy(third)).toMatchObject({
    reason: "copied from node 1: test",
    detail: { source: 1, passed_over: expect.stringContaining("node 2: the copy ends at 0/1") },
  });
  // It has not joined with it: what was wrong with the standby's copy may still be.
  const again = copying(third, 2, undefined);
  await ACTS.clone(again.agent, orderFor(third));
  expect(again.sources).toEqual([1]);
  await ACTS.join(third.agent, orderFor(third));
  await untilStreaming(third);

  const failing = copying(third, 2, async () => {
    throw new Error("the standby was promoted during online backup");
  });
  await ACTS.clone(failing.agent, orderFor(third));
  expect(failing.sources).toEqual([2, 1]);
  await ACTS.join(third.agent, orderFor(third));
  await untilStreaming(third);
  expect(await rowCount(third)).toEqual(await rowCount(bench.node(1)));
}, 60_000);

test("a standby that does not run, or streams no more, is passed over at once", async () => {
  const [second, third] = [bench.node(2), bench.node(3)];
  await sql(second, "alter system set primary_conninfo = ''");
  await sql(second, "select pg_reload_conf()");
  const text = "select count(*)::int as n from pg_stat_wal_receiver";
  await waitUntil("its receiver's end", within(10_000), async () => {
    return (await sql<{ n: number }>(second, text))[0]?.n === 0;
  });
  await ACTS.clone(third.agent, orderFor(third));
  const why = "node 2: it does not stream on the epoch's timeline";
  expect(lastCopy(third)).toMatchObject({ detail: { source: 1, passed_over: why } });
  await fenceServer(second.agent, "test");
  await ACTS.clone(third.agent, orderFor(third));
  expect(lastCopy(third)).toMatchObject({
    detail: { source: 1, passed_over: "node 2: it does not answer" },
  });
}, 60_000);
