/** The loser comes back by itself: rewound where that is proved right, copied where anything is in doubt. */
import { availableParallelism, loadavg } from "node:os";
import { expect, test } from "vitest";
import { useCluster } from "../support/fixture.ts";
import { onPrimary, untilHealthy, untilNewPrimary } from "../support/health.ts";
import {
  attack,
  cutStream,
  eventsAfter,
  lastEvent,
  untilBack,
  writeOrphans,
} from "../support/rejoin.ts";
import { value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const cluster = useCluster();

async function sameEverywhere(query: string): Promise<void> {
  const { primary, standbys } = await untilHealthy(cluster());
  const wanted = await value(cluster().node(primary).data.uri, query);
  for (const id of standbys) {
    const { uri } = cluster().node(id).data;
    await until(`node ${id} has the same`, { limitMs: 5000 }, async () => {
      return (await value(uri, query)) === wanted;
    });
  }
}

/** As promised, unless the machine has far more to do than it can. */
function expectSoon(what: string, ms: number, limitMs: number): void {
  const load = (loadavg()[0] ?? 0) / availableParallelism();
  console.log(`${what}: ${ms.toFixed(0)} ms (limit ${limitMs}, load ${load.toFixed(1)} per core)`);
  if (load < 2) expect(ms).toBeLessThan(limitMs);
}

test("a killed primary with WAL of its own is rewound, takes no write on the way, and streams", async () => {
  const { primary: old, standbys } = await untilHealthy(cluster());
  await onPrimary(cluster(), "create table m5 (n integer)");
  await onPrimary(cluster(), "insert into m5 select generate_series(1, 1000)");
  for (const standby of standbys) await cutStream(cluster(), old, standby);
  await writeOrphans(cluster().node(old).data.uri, "m5", 5000);
  const after = await lastEvent(cluster());
  const { at } = cluster().killNode(old);
  const attacker = attack(cluster().node(old).data.uri, "insert into m5 values (-1)");
  const winner = await untilNewPrimary(cluster(), old);
  expect(standbys).toContain(winner);
  await onPrimary(cluster(), "insert into m5 select generate_series(1001, 1500)");

  const events = (await untilBack(cluster(), old, { after })).map(({ event }) => event);
  const tookMs = performance.now() - at;
  expect(await attacker.stop()).toEqual([]);
  await untilHealthy(cluster());
  expect(events).toContain("rewound");
  expect(events).not.toContain("cloned");
  expectSoon("rejoin by rewind, from the kill on", tookMs, 10_000);
  await sameEverywhere("select count(*) || ' ' || coalesce(min(n), 0) from m5");
  expect(await value(cluster().node(old).data.uri, "select count(*) from m5")).toBe("1500");
});

test("a standby that is promoted by hand is quarantined, told of and healed; nobody follows it", async () => {
  const { primary, standbys, epoch } = await untilHealthy(cluster());
  const [rogue = 0] = standbys;
  const after = await lastEvent(cluster());
  const { uri } = cluster().node(rogue).data;
  const since = performance.now();
  await value(uri, "select pg_promote(false)");
  const noticed = await until("noticed", { limitMs: 5000, everyMs: 20 }, async () => {
    const events = await eventsAfter(cluster(), after);
    return events.some(({ event }) => event === "rogue_quarantined") && performance.now() - since;
  });
  expectSoon("rogue promotion noticed and told", noticed, 2000);
  const events = (await untilBack(cluster(), rogue, { after })).map(({ event }) => event);
  expect(events).toContain("cloned");
  const healed = await untilHealthy(cluster());
  expect(healed).toMatchObject({ primary, epoch });
  await sameEverywhere(
    "select string_agg(stamp_id::text, ' ' order by epoch) from pgreplica.stamp",
  );
});
