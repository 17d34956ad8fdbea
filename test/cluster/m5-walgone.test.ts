/** A member that was away for longer than the WAL is kept: what it lacks is gone, so it becomes a copy, by itself. */
import { expect, test } from "vitest";
import type { Injection } from "../support/cluster.ts";
import { useCluster } from "../support/fixture.ts";
import { onPrimary, untilHealthy, untilNewPrimary } from "../support/health.ts";
import { signalTree } from "../support/processes.ts";
import { cutStream, lastEvent, untilBack, writeOrphans } from "../support/rejoin.ts";
import { value } from "../support/sql.ts";
import { NotYet, until } from "../support/until.ts";

const settings = "{wal_keep_size: 8MB, max_wal_size: 64MB, max_slot_wal_keep_size: 16MB}";
const cluster = useCluster({ env: { PG_REPLICA_DATA_SETTINGS: settings } });

/** More WAL than is kept for anyone. */
async function churn(): Promise<void> {
  for (const _ of [1, 2, 3]) {
    const rows = "select repeat(md5(n::text), 8) from generate_series(1, 40000) n";
    await onPrimary(cluster(), `insert into churn ${rows}`);
    await onPrimary(cluster(), "checkpoint");
    await onPrimary(cluster(), "select pg_switch_wal()");
  }
}

/** The data server dies while its worker is frozen: nobody brings it back before the thaw. */
async function away(id: number): Promise<Injection> {
  const frozen = await cluster().freezeNode(id);
  signalTree(() => cluster().dataServerOf(id), "SIGKILL");
  return frozen;
}

const walBytes = (id: number) =>
  value(cluster().node(id).data.uri, "select sum(size) from pg_ls_waldir()");

test("a diverged primary whose WAL is gone is not rewound but copied", async () => {
  const { primary: old, standbys } = await untilHealthy(cluster());
  await onPrimary(cluster(), "create table demo as select generate_series(1, 1000) n");
  await onPrimary(cluster(), "create table churn (pad text)");
  for (const standby of standbys) await cutStream(cluster(), old, standby);
  await writeOrphans(cluster().node(old).data.uri, "demo", 100);
  const frozen = await away(old);
  await untilNewPrimary(cluster(), old);
  await churn();
  const after = await lastEvent(cluster());
  cluster().thaw(frozen);
  const events = await untilBack(cluster(), old, { after, limitMs: 120_000 });
  const names = events.map(({ event }) => event);
  expect(names).toContain("rewind_impossible");
  expect(names).toContain("cloned");
  expect(names).not.toContain("rewound");
  const { primary } = await untilHealthy(cluster());
  for (const query of ["select count(*) from demo", "select count(*) from churn"]) {
    const count = await value(cluster().node(old).data.uri, query);
    expect(count).toBe(await value(cluster().node(primary).data.uri, query));
    expect(Number(count)).toBeGreaterThan(0);
  }
});

test("a standby that is away keeps no more WAL than allowed, and is rebuilt when its slot is lost", async () => {
  const { primary, standbys, epoch } = await untilHealthy(cluster());
  const [gone = 0] = standbys;
  const frozen = await away(gone);
  await churn();
  await churn();
  // What is kept for anyone, what checkpoints keep, and a segment or two.
  expect(Number(await walBytes(primary))).toBeLessThan(160 * 1024 * 1024);
  const after = await lastEvent(cluster());
  cluster().thaw(frozen);
  const events = await untilBack(cluster(), gone, { after, limitMs: 120_000 });
  expect(events.map(({ event }) => event)).toContain("cloned");
  const healed = await untilHealthy(cluster());
  expect(healed).toMatchObject({ primary, epoch });
  const slots = "select count(*) from pg_replication_slots where wal_status <> 'lost'";
  // A copy brings none; its chores make them.
  for (const { id, data } of cluster().nodes) {
    await until(`both slots of node ${id}`, { limitMs: 15_000 }, async () => {
      const usable = await value(data.uri, slots);
      if (usable !== "2") throw new NotYet(`${usable} slots`);
      return true;
    });
  }
});
