/** Servers that accept connections and answer nothing: the primary's data server, and its control store. */
import { afterEach, expect, test } from "vitest";
import type { Injection } from "../support/cluster.ts";
import { expectWithin, useCluster } from "../support/fixture.ts";
import { untilHealthy } from "../support/health.ts";
import { watchLag } from "../support/lag.ts";
import {
  allProcesses,
  signalAtOnce,
  untilFrozen,
  withDescendants,
  workingIn,
} from "../support/processes.ts";
import { faultUnderLoad, nextWriter } from "../support/round.ts";
import { value } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

const cluster = useCluster();
const frozen: Injection[] = [];

afterEach(() => {
  for (const one of frozen.splice(0)) cluster().thaw(one);
});

async function freezeControlStore(id: number): Promise<Injection> {
  const all = allProcesses();
  const inside = workingIn(all, cluster().node(id).control.dir).map(({ pid }) => pid);
  const processes = withDescendants(all, inside);
  const at = signalAtOnce(processes, "SIGSTOP");
  await untilFrozen(processes, 2000);
  return { at, processes };
}

test("the primary's data server hangs: another takes its place, and nothing is lost (F10)", async () => {
  const round = await faultUnderLoad(cluster(), {
    fault: async (id) => {
      const injection = await cluster().freezeDataServer(id);
      frozen.push(injection);
      return injection;
    },
    heal: (injection) => cluster().thaw(injection),
  });
  expect(round).toMatchObject({ lost: [], invented: [] });
  expect(round.taker).not.toBe(round.before.primary);
  expectWithin("write gap", round.gapMs, 6000, round.lagMs);
});

test("the control store of the primary's node hangs: the leader moves, writes go on, nothing fails over", async () => {
  const before = await untilHealthy(cluster());
  await createWriterTable(cluster().node(before.primary).data.uri);
  const writer = startWriter({ hosts: cluster().dataUris(), writer: nextWriter(), everyMs: 5 });
  try {
    await writer.untilAcknowledged(50, 10_000);
    const since = performance.now();
    const lag = watchLag();
    frozen.push(await freezeControlStore(before.primary));
    const elsewhere = cluster().node(before.standbys[0] ?? 0).control.uri;
    await until("somebody else leads", { limitMs: 15_000 }, async () => {
      const leader = await value(elsewhere, "select coalesce(pg_replica.leader(), 0)");
      return leader !== "0" && leader !== String(before.primary);
    });
    await writer.untilAcknowledged(200, 10_000);
    const gap = writer.gapSince(since).ms;
    for (const one of frozen.splice(0)) cluster().thaw(one);
    const after = await untilHealthy(cluster());
    expect(after).toMatchObject({ primary: before.primary, epoch: before.epoch });
    expectWithin("longest write gap", gap, 1000, lag.stop());
  } finally {
    await writer.stop();
  }
  const result = await writer.check(cluster().node(before.primary).data.uri);
  expect(result).toMatchObject({ lost: [], invented: [] });
});
