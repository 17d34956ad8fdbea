/** The primary dies in each of the ways it can; a client writes on, and every acknowledged row is there. */
import type pg from "pg";
import { afterEach, expect, test } from "vitest";
import type { Injection } from "../support/cluster.ts";
import { expectWithin, useCluster } from "../support/fixture.ts";
import { onPrimary, untilHealthy } from "../support/health.ts";
import { type Probe, startProbe } from "../support/probe.ts";
import { readProcess, signalAtOnce, untilGone } from "../support/processes.ts";
import { faultUnderLoad, type Round } from "../support/round.ts";
import { errorOf, hangUp, open, rows, writesThatPass } from "../support/sql.ts";

/** Bounds of one sample, milliseconds: the death can be observed, or it cannot. */
const OBSERVED_MS = 2000;
const SILENT_MS = 6000;

const cluster = useCluster();
let probe: Probe | undefined;
const sessions: pg.Client[] = [];

afterEach(async () => {
  await probe?.stop();
  probe = undefined;
  for (const client of sessions.splice(0)) hangUp(client);
});

function expectNothingLost(round: Round, limitMs: number): void {
  expect(round.lost).toEqual([]);
  expect(round.invented).toEqual([]);
  expect(round.acknowledged).toBeGreaterThan(200);
  expect(round.after.epoch).toBe(round.before.epoch + 1n);
  expectWithin("write gap", round.gapMs, limitMs, round.lagMs);
}

function expectOneWriter(round: Round): void {
  expect(probe?.owners()).toEqual([round.before.primary, round.taker]);
  for (const count of probe?.attempts.values() ?? []) expect(count).toBeGreaterThan(5);
}

async function session(uri: string): Promise<pg.Client> {
  const client = await open(uri, { answerMs: 120_000 });
  sessions.push(client);
  return client;
}

const pidOf = async (client: pg.Client) =>
  Number((await client.query("select pg_backend_pid() as pid")).rows[0].pid);

test("the whole node of the primary is killed: another takes its place and the loser returns", async () => {
  probe = await startProbe(cluster());
  const round = await faultUnderLoad(cluster(), { fault: (id) => cluster().killNode(id) });
  expectNothingLost(round, OBSERVED_MS);
  expect(round.taker).not.toBe(round.before.primary);
  expectOneWriter(round);
});

test("the postmaster alone is killed: orphaned backends are killed too, their work is promised to nobody", async () => {
  const { primary } = await untilHealthy(cluster());
  await onPrimary(cluster(), "create table if not exists spun (n bigint)");
  await onPrimary(
    cluster(),
    `create or replace procedure spin() language plpgsql as $$
     begin for n in 1..100000000 loop insert into spun values (n); commit; end loop; end $$`,
  );
  const spinner = await session(cluster().node(primary).data.uri);
  const reader = await session(cluster().node(primary).data.uri);
  const orphans = [await pidOf(spinner), await pidOf(reader)].map((pid) => readProcess(pid));
  const spinning = errorOf(spinner.query("call spin()"));
  const reading = errorOf(
    reader.query("select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b"),
  );

  probe = await startProbe(cluster());
  const round = await faultUnderLoad(cluster(), { fault: (id) => cluster().killPostmaster(id) });
  expectNothingLost(round, OBSERVED_MS);
  expect((await spinning).message).not.toBe("");
  expect((await reading).message).not.toBe("");
  await untilGone(
    orphans.filter((one) => one !== undefined),
    0,
  );
});

test("the data server is killed with all its children", async () => {
  const round = await faultUnderLoad(cluster(), { fault: (id) => cluster().killDataServer(id) });
  expectNothingLost(round, OBSERVED_MS);
});

test("one backend is killed: the server ends, and no row shows that nobody confirmed", async () => {
  const { primary } = await untilHealthy(cluster());
  const victim = await session(cluster().node(primary).data.uri);
  const pid = await pidOf(victim);
  const round = await faultUnderLoad(cluster(), {
    fault: (): Injection => {
      const found = readProcess(pid);
      const processes = found === undefined ? [] : [found];
      return { at: signalAtOnce(processes, "SIGKILL"), processes };
    },
  });
  expectNothingLost(round, OBSERVED_MS);
});

test("the whole node is frozen: another takes its place, and after the thaw no old door takes a write", async () => {
  const { primary } = await untilHealthy(cluster());
  const { uri } = cluster().node(primary).data;
  await onPrimary(cluster(), "create table if not exists late (tried timestamptz default now())");
  const old = await session(uri);
  await old.query("select 1");

  probe = await startProbe(cluster());
  const passed: string[] = [];
  const round = await faultUnderLoad(cluster(), {
    fault: (id) => cluster().freezeNode(id),
    heal: async (injection) => {
      cluster().thaw(injection);
      passed.push(...(await writesThatPass(uri, "insert into late default values", old)));
    },
  });
  expectNothingLost(round, SILENT_MS);
  expect(round.taker).not.toBe(primary);
  expect(passed).toEqual([]);
  expectOneWriter(round);
  const { primary: now } = await untilHealthy(cluster());
  const late = await rows(cluster().node(now).data.uri, "select * from late");
  expect(late).toEqual([]);
});
