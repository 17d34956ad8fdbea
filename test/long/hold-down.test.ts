/**
 * The hold-down of one node (H47): silence cost it the role, and it hangs again within the half minute in which that is
 * held against it. A flap would be waited out; what lasts is not.
 */
import { afterEach, expect, test } from "vitest";
import type { Injection } from "../support/cluster.ts";
import { expectWithin, useCluster } from "../support/fixture.ts";
import { clusterRow, untilHealthy } from "../support/health.ts";
import { faultUnderLoad, type RoundOptions } from "../support/round.ts";
import { rows } from "../support/sql.ts";
import { until } from "../support/until.ts";

const cluster = useCluster();
const frozen: Injection[] = [];

afterEach(() => {
  for (const one of frozen.splice(0)) cluster().thaw(one);
});

const hangs: RoundOptions = {
  fault: async (id) => {
    const injection = await cluster().freezeDataServer(id);
    frozen.push(injection);
    return injection;
  },
  heal: (injection) => cluster().thaw(injection),
};

async function switchTo(id: number): Promise<void> {
  const before = await untilHealthy(cluster());
  const { uri } = cluster().node(before.leader).control;
  await rows(uri, "select * from pg_replica.switchover($1::integer)", [id]);
  await until(`node ${id} is primary`, { limitMs: 20_000 }, async () => {
    return (await clusterRow(cluster())).primary_id === id;
  });
  await untilHealthy(cluster());
}

test("a primary that hangs again within its hold-down keeps the role for ten seconds, not for all of it", async () => {
  const first = await faultUnderLoad(cluster(), hangs);
  expect(first).toMatchObject({ lost: [], invented: [] });
  expect(first.taker).not.toBe(first.before.primary);
  await switchTo(first.before.primary);
  const second = await faultUnderLoad(cluster(), hangs);
  expect(second).toMatchObject({ lost: [], invented: [] });
  expect(second.before.primary).toBe(first.before.primary);
  expect(second.taker).not.toBe(second.before.primary);
  expect(second.gapMs).toBeGreaterThan(8000);
  expectWithin("write gap", second.gapMs, 15_000, second.lagMs, 30_000);
});
