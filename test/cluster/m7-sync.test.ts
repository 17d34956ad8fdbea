/** The commit rule: a commit waits for a standby, resumes when there is one, and outlives the primary. */
import { afterEach, expect, test } from "vitest";
import type { Injection } from "../support/cluster.ts";
import { expectWithin, useCluster } from "../support/fixture.ts";
import { clusterRow, onPrimary, status, untilHealthy, untilNewPrimary } from "../support/health.ts";
import { nextWriter } from "../support/round.ts";
import { errorOf, open, rows, sqlstate, value } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

const cluster = useCluster();
const frozen: Injection[] = [];

afterEach(() => {
  for (const one of frozen.splice(0)) cluster().thaw(one);
});

test("a commit blocks while both standbys' data servers are frozen, says so, and resumes", async () => {
  const { primary, standbys } = await untilHealthy(cluster());
  const { uri } = cluster().node(primary).data;
  await onPrimary(cluster(), "create table waits (n integer)");
  const client = await open(uri, { answerMs: 60_000 });
  for (const standby of standbys) frozen.push(await cluster().freezeDataServer(standby));
  const since = performance.now();
  const insert = client.query("insert into waits values (1)").then(() => performance.now());
  const early = await Promise.race([insert, blockedFor(4000)]);
  expect(early).toBe("blocked");

  // Reads go on, nothing failed over, and the cluster says why nobody may write.
  expect(await value(uri, "select count(*) from waits")).toBe("0");
  const row = await clusterRow(cluster());
  expect(row).toMatchObject({ primary_id: primary, writable: false });
  const told = (await status(cluster())).find(({ node_id }) => node_id === primary);
  expect(told?.writable).toBe(false);
  expect(told?.reason).toMatch(/standby|confirm|quorum/i);

  const thawedAt = performance.now();
  for (const one of frozen.splice(0)) cluster().thaw(one);
  const committedAt = await insert;
  expectWithin("committed after the thaw", committedAt - thawedAt, 3000);
  expect(committedAt - since).toBeGreaterThan(4000);
  const after = await untilHealthy(cluster());
  expect(after.primary).toBe(primary);
  await client.end();
});

async function blockedFor(ms: number): Promise<"blocked"> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return "blocked";
}

test("500 acknowledged rows outlive the primary's node", async () => {
  const { primary } = await untilHealthy(cluster());
  await createWriterTable(cluster().node(primary).data.uri);
  const hosts = cluster().dataUris();
  const writer = startWriter({ hosts: [hosts[primary - 1] ?? ""], writer: nextWriter() });
  await writer.untilAcknowledged(500, 20_000);
  cluster().killNode(primary);
  await writer.stop();
  const taker = await untilNewPrimary(cluster(), primary);
  const result = await writer.check(cluster().node(taker).data.uri);
  expect(result.acknowledged).toBeGreaterThanOrEqual(500);
  expect(result.lost).toEqual([]);
});

test("without a majority a request says so within five seconds, and nobody takes a write", async () => {
  const { primary, standbys } = await untilHealthy(cluster());
  for (const standby of standbys) frozen.push(await cluster().freezeNode(standby));
  const { control, data } = cluster().node(primary);
  await until("the leader has stepped down", { limitMs: 8000 }, async () => {
    const [row] = await rows(control.uri, "select has_quorum from pg_replica.cluster()");
    return row?.has_quorum === false;
  });
  const since = performance.now();
  const error = await errorOf(rows(control.uri, "select * from pg_replica.failover()"));
  expectWithin("refused", performance.now() - since, 5000);
  expect(sqlstate(error)).toMatch(/^RF/);
  expect(error.hint ?? error.detail ?? "").not.toBe("");
  // The answer limit ends our wait, not the server's: nothing is acknowledged.
  const insert = rows(data.uri, "insert into waits values (2)", [], { answerMs: 1000 });
  await expect(insert).rejects.toThrow();

  for (const one of frozen.splice(0)) cluster().thaw(one);
  await untilHealthy(cluster());
});
