/** Who takes over: the survivor whose history is newest and longest; the commit rule counts the same nodes. */
import { expect, test } from "vitest";
import { parseLsn } from "../../src/core/ids.ts";
import type { Injection } from "../support/cluster.ts";
import { expectWithin, useCluster } from "../support/fixture.ts";
import { onPrimary, untilHealthy, untilNewPrimary } from "../support/health.ts";
import { readProcess, signalAtOnce, stillAlive, untilFrozen } from "../support/processes.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const cluster = useCluster();

/** Stop the primary's walsender towards one standby: its slot stays taken, so the standby gets nothing more. */
async function cutStream(primary: number, standby: number): Promise<Injection> {
  const pid = await value(
    cluster().node(primary).data.uri,
    "select pid from pg_stat_replication where application_name like $1",
    [`pgr\\_${standby}\\_%`],
  );
  const sender = readProcess(Number(pid));
  if (sender === undefined) throw new Error(`no walsender for node ${standby}`);
  const at = signalAtOnce([sender], "SIGSTOP");
  await untilFrozen([sender], 1000);
  return { at, processes: [sender] };
}

const receivedBy = async (id: number) =>
  parseLsn(await value(cluster().node(id).data.uri, "select pg_last_wal_receive_lsn()"));

async function insertRows(table: string, count: number): Promise<void> {
  await onPrimary(cluster(), `insert into ${table} select generate_series(1, ${count})`);
}

/** m3: `ahead` has 2000 rows more than `behind`; it must win, and every row must be there. */
async function mostAdvancedWins(table: string, pick: (standbys: readonly number[]) => number) {
  const { primary, standbys } = await untilHealthy(cluster());
  const behind = pick(standbys);
  const ahead = standbys.find((id) => id !== behind) ?? 0;
  await onPrimary(cluster(), `create table ${table} (n integer)`);
  await insertRows(table, 50);
  const cut = await cutStream(primary, behind);
  await insertRows(table, 2000);
  await onPrimary(cluster(), "select pg_switch_wal()");
  await until("one standby is ahead", { limitMs: 5000 }, async () => {
    return (await receivedBy(ahead)) > (await receivedBy(behind));
  });
  expect(cut.processes.every(stillAlive)).toBe(true);

  cluster().killNode(primary);
  expect(await untilNewPrimary(cluster(), primary)).toBe(ahead);
  const { uri } = cluster().node(ahead).data;
  expect(await value(uri, `select count(*) from ${table}`)).toBe("2050");
  await untilHealthy(cluster());
}

test("the survivor with more of the log takes over, with all of it", async () => {
  await mostAdvancedWins("m3", (standbys) => Math.max(...standbys));
});

test("the survivor with more of the log takes over, the other one being behind", async () => {
  await mostAdvancedWins("m3_mirrored", (standbys) => Math.min(...standbys));
});

test("the commit rule asks a majority less one of the same nodes that vote, and one of them confirms", async () => {
  const { primary, standbys } = await untilHealthy(cluster());
  const { uri } = cluster().node(primary).data;
  const rule = await value(uri, "select current_setting('synchronous_standby_names')");
  const [, confirmations, list = ""] = /^ANY (\d+) \((.*)\)$/.exec(rule) ?? [];
  const members = await rows<{ node_id: number; voter: boolean; sync: boolean }>(
    cluster().node(primary).control.uri,
    "select node_id, voter, sync from pg_replica.members() order by node_id",
  );
  const voters = members.filter(({ voter }) => voter).map(({ node_id }) => node_id);
  const majority = Math.floor(voters.length / 2) + 1;
  expect(Number(confirmations)).toBe(majority - 1);
  const listed = [...list.matchAll(/pgr_(\d+)_/g)].map(([, id]) => Number(id));
  expect(listed.toSorted()).toEqual(voters);

  const [confirming = 0, cut = 0] = standbys;
  await onPrimary(cluster(), "create table quorum_rows (n integer)");
  await cutStream(primary, cut);
  const since = performance.now();
  await insertRows("quorum_rows", 500);
  expectWithin("rows that one standby confirms", performance.now() - since, 2000);
  cluster().killNode(primary);
  expect(await untilNewPrimary(cluster(), primary)).toBe(confirming);
  const count = "select count(*) from quorum_rows";
  expect(await value(cluster().node(confirming).data.uri, count)).toBe("500");
});

test("a newer epoch wins over a longer log of an older one", async () => {
  const { primary: old, standbys } = await untilHealthy(cluster());
  await onPrimary(cluster(), "create table chain (n integer)");
  await onPrimary(cluster(), "create table orphan (pad text)");
  for (const standby of standbys) await cutStream(old, standby);
  // Confirmed by nobody, on the old primary's disk alone.
  const orphan = "insert into orphan select repeat('x', 1000) from generate_series(1, 20000)";
  const { uri } = cluster().node(old).data;
  await rows(uri, orphan, [], { answerMs: 1500 }).catch(() => undefined);
  const frozen = await cluster().freezeNode(old);
  const winner = await untilNewPrimary(cluster(), old);
  await onPrimary(cluster(), "insert into chain values (1)");

  for (const standby of standbys) cluster().killNode(standby);
  cluster().thaw(frozen);
  const { primary, epoch } = await untilHealthy(cluster());
  expect(epoch).toBeGreaterThan(2n);
  expect(standbys).toContain(winner);
  const now = cluster().node(primary).data.uri;
  expect(await value(now, "select count(*) from chain")).toBe("1");
  expect(await value(now, "select count(*) from orphan")).toBe("0");
});
