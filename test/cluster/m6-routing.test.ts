/** A libpq client with all hosts in its connection string finds the primary, whoever that is. */
import { expect, test } from "vitest";
import { useCluster } from "../support/fixture.ts";
import { untilHealthy, untilNewPrimary } from "../support/health.ts";
import { psql } from "../support/programs.ts";
import { until } from "../support/until.ts";

const cluster = useCluster();

const port = (text: string) => Number(/port=(\d+)/.exec(text)?.[1]);

async function insertThrough(text: string): Promise<number> {
  const sql = `insert into routed values ('${text}'); select 'port=' || inet_server_port()`;
  const { exitCode, stdout, stderr } = await psql(cluster().uri, sql);
  expect(stderr).toBe("");
  expect(exitCode).toBe(0);
  return port(stdout);
}

test("psql with target_session_attrs=read-write follows the primary, with the same string", async () => {
  expect(cluster().uri).toContain("target_session_attrs=read-write");
  const { primary } = await untilHealthy(cluster());
  await psql(cluster().uri, "create table routed (t text)");
  expect(await insertThrough("routed-before")).toBe(cluster().node(primary).data.port);

  cluster().killNode(primary);
  const next = await until("psql writes again", { limitMs: 10_000, everyMs: 50 }, async () => {
    const { exitCode, stdout } = await psql(
      cluster().uri,
      "insert into routed values ('routed-after'); select 'port=' || inet_server_port()",
    );
    return exitCode === 0 && port(stdout);
  });
  const taker = await untilNewPrimary(cluster(), primary);
  expect(next).toBe(cluster().node(taker).data.port);
  const { stdout } = await psql(
    cluster().uri,
    "select string_agg(t, ' ' order by t desc) from routed",
  );
  expect(stdout.trim()).toBe("routed-before routed-after");
});

test("while nodes come and go, psql never meets a refused login, and soon no lost connection either", async () => {
  const { primary } = await untilHealthy(cluster());
  const frozen = await cluster().freezeNode(primary);
  await untilNewPrimary(cluster(), primary);
  cluster().thaw(frozen);
  // A refused login would end libpq's walk through its list. The thawed primary may still take a connection, and
  // then be fenced: that outcome is unknown to the client, and lasts until it is fenced.
  const outcomes: string[] = [];
  await until("five inserts in a row succeed", { limitMs: 15_000, everyMs: 0 }, async () => {
    const { stderr } = await psql(cluster().uri, "insert into routed values ('again')");
    outcomes.push(stderr);
    return outcomes.length >= 10 && outcomes.slice(-5).every((text) => text === "");
  });
  expect(outcomes.filter((text) => /pg_hba|rejects|read-only/.test(text))).toEqual([]);
  await untilHealthy(cluster());
});
