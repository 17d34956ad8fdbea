/** Five nodes: commits need two of four standbys, a failover three reports; the two that confirmed are enough. */
import { expect, test } from "vitest";
import { useCluster } from "../support/fixture.ts";
import { clusterRow, onPrimary, untilHealthy, untilNewPrimary } from "../support/health.ts";
import { readProcess, signalAtOnce, untilFrozen } from "../support/processes.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const cluster = useCluster({ nodes: 5, limitMs: 220_000 });

const ruleOf = async () => String((await clusterRow(cluster())).commit_rule);
const listed = (rule: string) => [...rule.matchAll(/pgr_(\d+)_/g)].map(([, id]) => Number(id));

test("two standbys may lag, and every row is on the one that takes over", async () => {
  const { primary, standbys } = await untilHealthy(cluster(), 120_000);
  const rule = await ruleOf();
  expect(rule).toMatch(/^ANY 2 \(/);
  expect(listed(rule)).toEqual([1, 2, 3, 4, 5]);
  const { uri } = cluster().node(primary).data;
  await onPrimary(cluster(), "create table five (n integer)");
  const lagging = standbys.slice(2);
  for (const id of lagging) {
    const pid = await value(
      uri,
      "select pid from pg_stat_replication where application_name like $1",
      [`pgr\\_${id}\\_%`],
    );
    const sender = readProcess(Number(pid));
    if (sender === undefined) throw new Error(`no walsender for node ${id}`);
    signalAtOnce([sender], "SIGSTOP");
    await untilFrozen([sender], 1000);
  }
  await onPrimary(cluster(), "insert into five select generate_series(1, 500)");
  cluster().killNode(primary);
  const taker = await untilNewPrimary(cluster(), primary);
  expect(lagging).not.toContain(taker);
  expect(await value(cluster().node(taker).data.uri, "select count(*) from five")).toBe("500");
  await untilHealthy(cluster(), 120_000);
});

test("a standby that is gone for a minute leaves the rule, and enters it again when it is back", async () => {
  const { primary, standbys } = await untilHealthy(cluster(), 120_000);
  const gone = standbys.at(-1) ?? 0;
  const frozen = await cluster().freezeDataServer(gone);
  await until("it has left", { limitMs: 100_000, everyMs: 500 }, async () => {
    const rule = await ruleOf();
    // Confirmations needed stay two; whoever is left names four.
    expect(rule).toMatch(/^ANY 2 \(/);
    return !listed(rule).includes(gone);
  });
  expect(await value(cluster().node(primary).data.uri, "show synchronous_standby_names")).toBe(
    await ruleOf(),
  );
  cluster().thaw(frozen);
  await until("it counts again", { limitMs: 60_000, everyMs: 200 }, async () => {
    return listed(await ruleOf()).includes(gone);
  });
  const changes = await rows(
    cluster().node(primary).control.uri,
    "select event from pg_replica.events(0, 100000) where event in ('rule_changing', 'rule_changed')",
  );
  expect(changes.length).toBeGreaterThanOrEqual(4);
  await untilHealthy(cluster(), 120_000);
});
