/** The mode `async`: nobody is asked, and what a failover loses is told. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Cluster, logPaths, startCluster } from "../support/cluster.ts";
import { clusterRow, onPrimary, primaries, untilNewPrimary } from "../support/health.ts";
import { useKeptLogs } from "../support/kept-logs.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

vi.setConfig({ testTimeout: 150_000 });

let cluster: Cluster;
const kept = useKeptLogs(() => logPaths(cluster));

beforeAll(async () => {
  cluster = await startCluster({ env: { PG_REPLICA_SYNC_MODE: "async" } });
  await untilWell();
  kept.healthy();
}, 150_000);

afterAll(async () => {
  await cluster.stop();
  await cluster.discard(await kept.end());
}, 60_000);

const count = async (id: number) =>
  await value(cluster.node(id).data.uri, "select count(*) from kept");

/** One primary that takes writes, every other node streams from it, and no commit waits for any of them. */
async function untilWell(): Promise<{ primary: number; standbys: readonly number[] }> {
  return await until("all stream, and nobody is asked", { limitMs: 60_000 }, async () => {
    await cluster.refresh();
    const [primary] = await primaries(cluster);
    const row = await clusterRow(cluster);
    if (primary === undefined || row.primary_id !== primary || !row.writable) return undefined;
    if (row.failover !== "ready" || row.leader_id === null) return undefined;
    const senders = await rows<{ state: string; sync_state: string }>(
      cluster.node(primary).data.uri,
      "select state, sync_state from pg_stat_replication where application_name like 'pgr\\_%'",
    );
    const good = senders.filter((one) => one.state === "streaming" && one.sync_state === "async");
    if (good.length !== 2 || senders.length !== 2) return undefined;
    const standbys = cluster.nodes.map(({ id }) => id).filter((id) => id !== primary);
    return { primary, standbys };
  });
}

async function untilEqual(): Promise<void> {
  await until("all hold the same", { limitMs: 20_000 }, async () => {
    const all = await Promise.all(cluster.nodes.map(({ id }) => count(id)));
    return new Set(all).size === 1;
  });
}

test("no commit waits, with both standbys frozen too", async () => {
  const { primary, standbys } = await untilWell();
  await onPrimary(cluster, "create table kept (n integer)");
  await untilEqual();
  const frozen = [];
  for (const id of standbys) frozen.push(await cluster.freezeDataServer(id));
  try {
    const since = performance.now();
    await rows(cluster.node(primary).data.uri, "insert into kept select generate_series(1, 100)");
    expect(performance.now() - since).toBeLessThan(2000);
  } finally {
    for (const one of frozen) cluster.thaw(one);
  }
  await untilWell();
  await untilEqual();
});

test("a switchover loses nothing", async () => {
  const { primary, standbys } = await untilWell();
  const [request] = await rows(
    cluster.node(standbys[0] ?? 0).control.uri,
    "select * from pg_replica.switchover()",
  );
  expect(request).toMatchObject({ state: "done", from_node: primary });
  await untilWell();
  await untilEqual();
  expect(await count(primary)).toBe("100");
});

test("what nobody had received when the primary died is lost, and history() says how much", async () => {
  const { primary, standbys } = await untilWell();
  const frozen = [];
  for (const id of standbys) frozen.push(await cluster.freezeDataServer(id));
  try {
    // More than lies in the buffers of two sockets, which the standbys read once they go on.
    const many = "insert into kept select generate_series(101, 400000)";
    await rows(cluster.node(primary).data.uri, many, [], { answerMs: 60_000 });
    // Told to the leader, which then knows how far the primary was.
    const { uri } = cluster.node(primary).control;
    const end = await value(cluster.node(primary).data.uri, "select pg_current_wal_lsn()");
    await until("the end of its WAL is told", { limitMs: 10_000 }, async () => {
      const text = "select wal_lsn >= $1::pg_lsn from pg_replica.status() where node_id = $2";
      return (await value(uri, text, [end, primary])) === "true";
    });
    cluster.killNode(primary);
  } finally {
    for (const one of frozen) cluster.thaw(one);
  }
  const next = await untilNewPrimary(cluster, primary, 30_000);
  expect(await count(next)).toBe("100");
  const [epoch] = await rows<{ lost_bytes: string | null }>(
    cluster.node(next).control.uri,
    "select lost_bytes from pg_replica.history() order by epoch desc limit 1",
  );
  expect(Number(epoch?.lost_bytes)).toBeGreaterThan(100_000);
  // The loser gives up what it alone held.
  await untilWell();
  await untilEqual();
  expect(await count(primary)).toBe("100");
});
