/** The log stays bounded whatever is decided, and who was away is served by snapshot (H59, R11). */
import { mkdtemp, readdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { useCluster } from "../support/fixture.ts";
import { untilHealthy } from "../support/health.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const KEPT = 8;
const cluster = useCluster({ env: { PG_REPLICA_RAFT_MAX_LOG_ENTRIES: String(KEPT) } });

interface Log extends Record<string, unknown> {
  readonly node: number;
  readonly kept: number;
  readonly bytes: number;
  readonly applied: number;
  readonly begins: number;
}

const LOG = `
  select i.node_id as node, s.applied_index::int as applied, s.snapshot_index::int as begins,
         (select count(*)::int from raft.log) as kept,
         (select coalesce(sum(octet_length(body::text)), 0)::int from raft.log) as bytes
    from raft.hard_state as s, node.identity as i`;
const STATE = `
  select md5(string_agg(r.of_table || r.content::text, ' ' order by r.of_table, r.content::text))
    from cluster.state_row as r`;

async function logOf(id: number): Promise<Log> {
  const [log] = await rows<Log>(cluster().node(id).control.uri, LOG);
  if (log === undefined) throw new Error(`node ${id} has no log`);
  return log;
}

const ids = () => cluster().nodes.map(({ id }) => id);

/** All logs are short, and all say the same. */
async function untilBounded(): Promise<readonly Log[]> {
  return until("short logs and one state", { limitMs: 20_000 }, async () => {
    const logs = await Promise.all(ids().map(logOf));
    const states = cluster().nodes.map(({ control }) => value(control.uri, STATE));
    const alike = new Set(await Promise.all(states)).size === 1;
    return alike && logs.every(({ kept }) => kept <= KEPT) && logs;
  });
}

/** How often a leader has said that it serves this node so. */
async function snapshotsFor(id: number): Promise<number> {
  const logs = cluster().nodes.map(({ data }) => join(data.dir, "..", "log", "worker.log"));
  const texts = await Promise.all(logs.map((path) => readFile(path, "utf8").catch(() => "")));
  const lines = texts.flatMap((text) => text.split("\n"));
  return lines.filter((line) => line.includes('"raft.snapshot"') && line.includes(`"peer":${id},`))
    .length;
}

test("a follower is frozen and thawed 18 times while decisions are made: the log stays short", async () => {
  const { standbys, leader } = await untilHealthy(cluster());
  const victim = standbys.find((id) => id !== leader) ?? 0;
  const { uri } = cluster().node(leader).control;
  const before = await logOf(leader);
  for (let round = 0; round < 18; round++) {
    const frozen = await cluster().freezeNode(victim);
    try {
      // Beyond what is kept while it is away, in some rounds; within it in the others.
      const puts = round % 6 === 5 ? 2 * KEPT : 1;
      for (let put = 0; put < puts; put++) {
        await value(uri, "select pg_replica.kv_put('round', $1)", [`${round}.${put}`]);
      }
      if (puts > KEPT) {
        await until("the leader has forgotten them", { limitMs: 10_000 }, async () => {
          return (await logOf(leader)).begins > (await logOf(leader)).applied - KEPT - 1;
        });
      }
    } finally {
      cluster().thaw(frozen);
    }
  }
  const logs = await untilBounded();
  const decisions = (logs[0]?.applied ?? 0) - before.applied;
  expect(decisions).toBeGreaterThanOrEqual(12);
  for (const { kept, bytes } of logs) {
    expect(kept).toBeLessThan(decisions);
    expect(bytes).toBeLessThan(8192);
  }
  expect(await snapshotsFor(victim)).toBeGreaterThan(0);
  await untilHealthy(cluster());
});

test("a restarted node is as far as it was; one whose store is lost gets all there is", async () => {
  const { standbys, leader } = await untilHealthy(cluster());
  const victim = standbys.find((id) => id !== leader) ?? 0;
  const before = await logOf(victim);
  cluster().killNode(victim);
  await untilHealthy(cluster(), 60_000);
  expect((await logOf(victim)).applied).toBeGreaterThanOrEqual(before.applied);

  const served = await snapshotsFor(victim);
  const { control } = cluster().node(victim);
  const away = await mkdtemp(join(cluster().dir, "lost-"));
  cluster().killNode(victim);
  await rename(control.dir, join(away, "control"));
  await until("another life votes", { limitMs: 60_000 }, async () => {
    const text = "select voter, incarnation::text from cluster.member where node_id = $1";
    const [member] = await rows(cluster().node(leader).control.uri, text, [victim]);
    const lives = "select incarnation::text from node.identity where reborn";
    const [life] = await rows(control.uri, lives).catch(() => []);
    return member?.voter === true && member.incarnation === life?.incarnation;
  });
  expect(await snapshotsFor(victim)).toBeGreaterThan(served);
  await untilBounded();
  expect((await readdir(away)).length).toBe(1);
});
