/** The mode `available`: it goes on alone rather than wait, and asks for a standby again when there is one. */
import { afterEach, describe, expect, test } from "vitest";
import type { Injection } from "../support/cluster.ts";
import { useCluster } from "../support/fixture.ts";
import { clusterRow, onPrimary, untilHealthy, untilNewPrimary } from "../support/health.ts";
import { rows, value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const wanted = async (cluster: ReturnType<ReturnType<typeof useCluster>>, rule: RegExp) =>
  await until(`the commit rule is ${rule}`, { limitMs: 30_000 }, async () => {
    return rule.test(String((await clusterRow(cluster)).commit_rule ?? ""));
  });

describe("available", () => {
  const cluster = useCluster({ env: { PG_REPLICA_SYNC_MODE: "available" } });
  const frozen: Injection[] = [];
  afterEach(() => {
    for (const one of frozen.splice(0)) cluster().thaw(one);
  });

  test("a commit waits for a standby while there is one, goes on alone when there is none, and waits again", async () => {
    const { primary, standbys } = await untilHealthy(cluster());
    const { uri } = cluster().node(primary).data;
    await wanted(cluster(), /^ANY 1 \(/);
    await onPrimary(cluster(), "create table kept (n integer)");
    for (const standby of standbys) frozen.push(await cluster().freezeDataServer(standby));
    // It waits for a moment, then by the rule that asks nobody: committed in two steps, both told.
    await rows(uri, "insert into kept values (1)", [], { answerMs: 60_000 });
    await wanted(cluster(), /^$|^none$/);
    await untilWritable(primary);
    for (const one of frozen.splice(0)) cluster().thaw(one);
    await wanted(cluster(), /^ANY 1 \(/);
    await untilHealthy(cluster());
    await rows(uri, "insert into kept values (2)");
    // What was committed alone reached the others before the rule asked for them again.
    for (const id of standbys) {
      await until(`node ${id} has both`, { limitMs: 10_000 }, async () => {
        return (await value(cluster().node(id).data.uri, "select count(*) from kept")) === "2";
      });
    }
  });

  test("the primary's node dies: nothing that a standby confirmed is lost", async () => {
    const { primary } = await untilHealthy(cluster());
    await wanted(cluster(), /^ANY 1 \(/);
    await onPrimary(cluster(), "insert into kept values (3)");
    cluster().killNode(primary);
    const taker = await untilNewPrimary(cluster(), primary);
    const { uri } = cluster().node(taker).data;
    expect(await value(uri, "select count(*) from kept")).toBe("3");
    await untilHealthy(cluster());
  });

  async function untilWritable(id: number): Promise<void> {
    await until("it takes writes, and says so", { limitMs: 10_000 }, async () => {
      const row = await clusterRow(cluster());
      return row.primary_id === id && row.writable === true;
    });
  }
});
