/** The agent's acts on real servers: found, clone, report, promote, follow, hand over. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ACTS } from "../../src/agent/acts.ts";
import { classify } from "../../src/agent/disk.ts";
import { look } from "../../src/agent/observe.ts";
import { waitUntil } from "../../src/clock/clock.ts";
import { createLog } from "../../src/log/logger.ts";
import {
  type Bench,
  client,
  namesFor,
  openBench,
  orderFor,
  sql,
  untilStreaming,
  within,
} from "./harness.ts";

let bench: Bench;

beforeAll(async () => {
  bench = await openBench(3, createLog({}, { level: process.env.AGENT_LOG ?? "fatal" }));
}, 60_000);
afterAll(() => bench?.stop(), 60_000);

test("the leader's node initialises the first data directory and reports its identity", async () => {
  const first = bench.node(1);
  await ACTS.found(first.agent, orderFor(first));
  const disk = await classify(first.agent);
  expect(disk.kind).toBe("founding");
  bench.commit(
    {
      system_identifier: disk.systemIdentifier ?? "",
      epoch: 1n,
      epoch_state: "appointed",
      primary_id: 1,
      timeline: 2,
      pledge: 1n,
      history: [{ epoch: 1n, node_id: 1, timeline: 2, switch_lsn: 0n, from_epoch: 0n }],
    },
    (id) => (id === 1 ? "primary" : "standby"),
  );
}, 60_000);

test("it starts read-only, and becomes primary of epoch 1 only by promotion", async () => {
  const first = bench.node(1);
  await ACTS.start(first.agent, orderFor(first));
  expect(await sql(first, "select pg_is_in_recovery() as r")).toEqual([{ r: true }]);
  await ACTS.promote(first.agent, orderFor(first));
  expect(first.agent.state.leads).toMatchObject({ epoch: 1n, timeline: 2, gateOpen: true });
  const { switchLsn = 0n, stampLsn = 0n } = first.agent.state.leads ?? {};
  bench.commit({
    epoch_state: "serving",
    switch_lsn: switchLsn,
    stamp_lsn: stampLsn,
    history: [{ epoch: 1n, node_id: 1, timeline: 2, switch_lsn: switchLsn, from_epoch: 0n }],
  });
  const session = await client(first);
  await session.query("create table t (n int); insert into t values (1)");
  await session.end();
}, 60_000);

test("the others are cloned from it and stream under their own names", async () => {
  for (const id of [2, 3]) {
    const node = bench.node(id);
    await ACTS.clone(node.agent, orderFor(node));
    expect((await classify(node.agent)).kind).toBe("joining");
    await ACTS.join(node.agent, orderFor(node));
    await untilStreaming(node);
    expect((await classify(node.agent)).kind).toBe("ours");
    expect(await sql(node, "select n from t")).toEqual([{ n: 1 }]);
  }
}, 60_000);

test("a rule that is raised is proved in force by those it names", async () => {
  bench.commit({
    rule_k: 1,
    rule_cohort: [1, 2, 3],
    standby_names: namesFor(bench, 1),
    rule_version: 1n,
  });
  for (const node of bench.nodes) await ACTS.apply_rule(node.agent, orderFor(node));
  expect(bench.node(1).agent.state.ruleInForce?.names).toBe(namesFor(bench, 1));
}, 60_000);

test("a pledged standby reports with its receiver proved gone", async () => {
  await sql(bench.node(1), "insert into t select generate_series(1, 1000)");
  await bench.node(1).agent.state.server?.stop("immediate", 10_000);
  bench.commit(
    {
      epoch: 2n,
      pledge: 2n,
      epoch_state: "opened",
      primary_id: null,
      old_primary: 1,
      reported: false,
    },
    () => "pledged",
  );
  for (const id of [2, 3]) {
    const node = bench.node(id);
    await ACTS.report(node.agent, orderFor(node));
    expect(node.kept.reports.at(-1)).toMatchObject({ epoch: 2n });
    expect(await sql(node, "select count(*)::int as n from pg_stat_wal_receiver")).toEqual([
      { n: 0 },
    ]);
  }
}, 60_000);

test("the appointed one ends sessions, takes the planned timeline and opens when enough hold the stamp", async () => {
  const second = bench.node(2);
  const third = bench.node(3);
  const fromLsn = second.kept.reports.at(-1)?.lsn ?? 0n;
  const reader = await client(second);
  reader.on("error", () => undefined);
  const before = second.kept.view.history;
  bench.commit(
    {
      epoch_state: "appointed",
      primary_id: 2,
      timeline: 5,
      from_lsn: fromLsn,
      history: [
        ...before,
        { epoch: 2n, node_id: 2, timeline: 5, switch_lsn: fromLsn, from_epoch: 1n },
      ],
    },
    (id) => (id === 2 ? "primary" : "standby"),
  );
  await Promise.all([
    ACTS.promote(second.agent, orderFor(second)),
    ACTS.follow(third.agent, orderFor(third)),
  ]);
  await expect(reader.query("select 1")).rejects.toThrow();
  expect(second.agent.state.leads).toMatchObject({
    timeline: 5,
    switchLsn: fromLsn,
    gateOpen: true,
  });
  await untilStreaming(third);
  const session = await client(second);
  await session.query("insert into t values (-1)");
  await session.end();
  await waitUntil("replayed", within(5000), async () => {
    const rows = await sql<{ n: number }>(third, "select n from t where n = -1");
    return rows.length === 1;
  });
  bench.commit({ epoch_state: "serving" });
}, 60_000);

test("the old primary comes back read-only, is found diverged or not, and streams again", async () => {
  const first = bench.node(1);
  await ACTS.start(first.agent, orderFor(first));
  expect(first.agent.state.look?.in_recovery).toBe(true);
  expect(first.agent.state.listening).toBe(false);
  await ACTS.follow(first.agent, orderFor(first));
  if (first.agent.state.rejoin !== undefined) {
    await ACTS.clone(first.agent, orderFor(first));
    await ACTS.join(first.agent, orderFor(first));
  }
  await untilStreaming(first);
}, 60_000);

test("a hand-over ends where a standby that received everything ends", async () => {
  const second = bench.node(2);
  bench.commit({ handover_to: 3 }, (id) => (id === 2 ? "hand_over" : "standby"));
  await ACTS.hand_over(second.agent, orderFor(second));
  const end = second.kept.handed.at(-1)?.shutdownLsn;
  expect(end).toBeDefined();
  expect(second.agent.state.server, "it rests until another has taken over").toBeUndefined();
  await ACTS.start(second.agent, orderFor(second));
  for (const id of [1, 2, 3]) {
    await look(bench.node(id).agent);
    expect(bench.node(id).agent.state.look?.replay_lsn).toBe(end);
  }
}, 60_000);
