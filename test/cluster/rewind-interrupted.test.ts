/** Whatever ends in the middle of the way back: it ends as a healthy standby, and never is a half-made copy started. */
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { useCluster } from "../support/fixture.ts";
import { onPrimary, untilHealthy, untilNewPrimary } from "../support/health.ts";
import { allProcesses, type Process, signalAtOnce } from "../support/processes.ts";
import { cutStream, lastEvent, untilBack, writeOrphans } from "../support/rejoin.ts";
import { value } from "../support/sql.ts";
import { until } from "../support/until.ts";

const cluster = useCluster();
const seed = Number(process.env.SEED ?? Date.now() % 100_000);

/** At once when 0; in the middle for the others: a part of what pg_rewind takes here. */
const part = [0, 0.3, 0.6, 0.9][seed % 4] ?? 0;

const rewinding = (id: number): Process[] =>
  allProcesses().filter(
    ({ command, cwd }) =>
      command.includes("pg_rewind") &&
      command.includes("--progress") &&
      cwd === cluster().node(id).data.dir,
  );

/** The primary holds rows nobody has, and a table of some size; then its node dies. */
async function loseDiverged(table: string): Promise<{ old: number; after: string }> {
  const { primary: old, standbys } = await untilHealthy(cluster());
  await onPrimary(
    cluster(),
    `create table ${table} as select n, repeat(md5(n::text), 20) pad from generate_series(1, 60000) n`,
  );
  await onPrimary(cluster(), "checkpoint");
  for (const standby of standbys) await cutStream(cluster(), old, standby);
  const { uri } = cluster().node(old).data;
  await writeOrphans(uri, `${table} (n)`, 60_000);
  const after = await lastEvent(cluster());
  cluster().killNode(old);
  await untilNewPrimary(cluster(), old);
  return { old, after };
}

async function endsAsCopy(old: number, after: string, table: string): Promise<void> {
  const events = (await untilBack(cluster(), old, { after, limitMs: 120_000 })).map((e) => e.event);
  expect(events).toContain("cloned");
  const { primary } = await untilHealthy(cluster());
  const count = `select count(*) from ${table}`;
  expect(await value(cluster().node(old).data.uri, count)).toBe("60000");
  expect(await value(cluster().node(primary).data.uri, count)).toBe("60000");
  const { dir } = cluster().node(old).data;
  for (const left of ["marker", "joining", "copying", "new", "old"])
    expect(existsSync(`${dir}.${left}`)).toBe(false);
}

/** What pg_rewind, or a copy, takes here for so little, milliseconds. */
const TOOK_MS = 150;

test("pg_rewind is killed on its way: the marker leads to a copy (F37)", async () => {
  console.log(`SEED=${seed}: killed at ${part * 100} %`);
  const { old, after } = await loseDiverged("cut_tool");
  const [tool] = await until("pg_rewind runs", { limitMs: 30_000, everyMs: 2 }, () => {
    const found = rewinding(old);
    return found.length > 0 && found;
  });
  await new Promise((resolve) => setTimeout(resolve, TOOK_MS * part));
  if (tool !== undefined) signalAtOnce([tool], "SIGKILL");
  await endsAsCopy(old, after, "cut_tool");
});

test("the worker is killed with pg_rewind at work: its successor trusts nothing of it", async () => {
  const { old, after } = await loseDiverged("cut_worker");
  await until("pg_rewind runs", { limitMs: 30_000, everyMs: 2 }, () => rewinding(old).length > 0);
  await cluster().refresh();
  cluster().killWorker(old);
  await endsAsCopy(old, after, "cut_worker");
});

test("a copy is cut off at each quarter: the next one is whole", async () => {
  const { standbys } = await untilHealthy(cluster());
  const [victim = 0] = standbys;
  const after = await lastEvent(cluster());
  await value(cluster().node(victim).data.uri, "select pg_promote(false)");
  for (const quarter of [0, 0.3, 0.6, 0.9]) {
    const copier = await until("a copy is made", { limitMs: 30_000, everyMs: 2 }, async () => {
      await cluster().refresh();
      const worker = cluster().node(victim).worker.pid;
      return allProcesses().find(
        ({ command, ppid }) => ppid === worker && command.includes("jobs/main"),
      );
    });
    await new Promise((resolve) => setTimeout(resolve, TOOK_MS * quarter));
    signalAtOnce([copier], "SIGKILL");
  }
  const events = await untilBack(cluster(), victim, { after, limitMs: 120_000 });
  expect(events.map(({ event }) => event)).toContain("cloned");
  await untilHealthy(cluster());
});
