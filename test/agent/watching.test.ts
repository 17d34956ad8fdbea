/** What can be watched on members' data servers under their agents: gauges, slots, and who may write. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ACTS } from "../../src/agent/acts.ts";
import { classify } from "../../src/agent/disk.ts";
import { measure } from "../../src/agent/gauges.ts";
import { factsOf, look, rowOf } from "../../src/agent/observe.ts";
import { change, currentWanted } from "../../src/agent/settings.ts";
import { tendSlots } from "../../src/agent/slots.ts";
import { waitUntil } from "../../src/clock/clock.ts";
import type { Sample } from "../../src/core/gauges.ts";
import { writesThatPass } from "../support/sql.ts";
import { pledged } from "./fail-over.ts";
import { type Bench, type Node, openPair, orderFor, sql, within } from "./harness.ts";

let bench: Bench;

beforeAll(async () => {
  bench = await openPair();
}, 60_000);
afterAll(() => bench?.stop(), 60_000);

const db = async ({ agent }: Node) => (await agent.hands.get()).db;

test("the room on the disk, and how fast a lag grows, are shown on primary and standby", async () => {
  const [first, second] = [bench.node(1), bench.node(2)];
  const usage = "select disk_free_bytes::float8 as free, full_in from pg_replica.wal_usage";
  expect(await sql(first, usage)).toEqual([{ free: null, full_in: null }]);
  for (const node of [first, second]) {
    const [sample] = await measure(node.agent, await db(node), []);
    expect(sample?.freeBytes).toBeGreaterThan(0);
    expect(await sql(node, usage)).toEqual([{ free: sample?.freeBytes, full_in: null }]);
  }
  // As if the last look were ten seconds old: what is measured in between is how it grew.
  await sql(second, "select pg_wal_replay_pause()");
  try {
    const [before] = await measure(first.agent, await db(first), []);
    const earlier = { ...(before as Sample), at: (before as Sample).at - 10_000 };
    await sql(first, "insert into t select generate_series(1, 20000)");
    await waitUntil("the lag grows", within(10_000), async () => {
      await measure(first.agent, await db(first), [earlier]);
      const [row] = await sql<{ node_id: number; rate: number; mb: number }>(
        first,
        `select node_id, growth_bytes_per_s::float8 as rate, lag_mb::float8 as mb from pg_replica.lag`,
      );
      return row?.node_id === 2 && row.mb > 0.9 && row.rate > 90_000;
    });
  } finally {
    await sql(second, "select pg_wal_replay_resume()");
  }
});

test("every member keeps a slot for every other, so a promoted one has them (H43)", async () => {
  const slots = "select node_id, owner, wal_status from pg_replica.slots";
  for (const [node, other] of [
    [bench.node(1), 2],
    [bench.node(2), 1],
  ] as const) {
    await tendSlots(node.agent, await db(node));
    expect(await sql(node, slots)).toEqual([
      { node_id: other, owner: "member", wal_status: "reserved" },
    ]);
  }
});

test("writable follows the gate; a read-only default is no fence, and is not taken for one", async () => {
  const first = bench.node(1);
  const uri = `postgresql://postgres:test@127.0.0.1:${first.port}/postgres`;
  const seen = async () => {
    await look(first.agent);
    return rowOf(first.agent, await classify(first.agent)).writable;
  };
  await sql(first, "alter system set default_transaction_read_only = on");
  await sql(first, "select pg_reload_conf()");
  await waitUntil("new sessions are read-only", within(10_000), async () => {
    const rows = await sql<{ on: string }>(
      first,
      `select current_setting('default_transaction_read_only') as "on"`,
    );
    return rows[0]?.on === "on";
  });
  expect(await writesThatPass(uri, "insert into t values (-1)")).toEqual([
    "begin read write",
    "set",
    "PGOPTIONS",
  ]);
  expect(await seen()).toBe(true);

  const { leads } = first.agent.state;
  if (leads === undefined) throw new Error("it leads nothing");
  first.agent.state.leads = { ...leads, gateOpen: false };
  await change(first.agent, { gate: "closed" });
  expect(await seen()).toBe(false);
  expect(await writesThatPass(uri, "insert into t values (-2)")).toEqual([]);
});

test("a standby that streams for a while looks for a lost upstream at leisure, and in a failover soon again", async () => {
  const second = bench.node(2);
  const interval = async () => {
    const [row] = await sql<{ every: string }>(
      second,
      "select current_setting('wal_retrieve_retry_interval') as every",
    );
    return row?.every;
  };
  const rule = async () => {
    await look(second.agent);
    return factsOf(second.agent, await classify(second.agent)).rule;
  };
  const { upstream } = currentWanted(second.agent);
  if (upstream === undefined) throw new Error("it streams from nobody");
  await change(second.agent, { upstream: { ...upstream, settled: false } });
  expect([await interval(), await rule()]).toEqual(["20ms", "in_force"]);
  await waitUntil("it has settled", within(10_000), async () => (await rule()) === "changed");
  await ACTS.apply_rule(second.agent, orderFor(second));
  expect([await interval(), await rule()]).toEqual(["200ms", "in_force"]);
  await ACTS.report(second.agent, pledged(bench, second));
  expect(await interval()).toBe("20ms");
});
