/**
 * Readings on every server while the primary dies and is cut off from all but its clients (W5, W3), judged by
 * histories/reads.ts: with strict reads no primary shows the past (H31), and without them one does, as long as its
 * lease lasts, or the checker is blind. Standbys lag, and never go back (H34).
 */
import { afterEach, expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { readAnomalies } from "../histories/reads.ts";
import { type Bed, openBed } from "../support/bed/bed.ts";
import { CATALOGUE } from "../support/faults/catalogue.ts";
import { unable } from "../support/faults/fault.ts";
import { untilHealthy } from "../support/health.ts";
import { useKeptLogs } from "../support/kept-logs.ts";
import { startBank } from "../support/load/bank.ts";
import { startReadings } from "../support/load/readings.ts";
import { Random } from "../support/random.ts";

const SEED = Number(process.env.PGR_TEST_SEED ?? 1);
const QUIET_MS = 2000;
const CUT_OFF = "the primary is cut off from the other nodes, not from clients";
let bed: Bed | undefined;
const kept = useKeptLogs(() => bed?.logs() ?? []);

afterEach(async () => {
  await bed?.close(await kept.end());
  bed = undefined;
}, 120_000);

/** What clients were shown and told meanwhile, and how often another took over. */
async function underFaults(config: object, faults: readonly (readonly [string, number])[]) {
  const here = await openBed({ seed: SEED, config: { ...config } });
  bed = here;
  kept.healthy();
  const random = new Random(`${SEED}/reads`);
  const before = await untilHealthy(here);
  const clients = [await startReadings(here), await startBank(here, random)] as const;
  for (const [name, lastsMs] of faults) {
    const fault = CATALOGUE.find((one) => one.name === name);
    if (fault === undefined) throw new Error(`no fault is called ${name}`);
    const why = unable(fault, here);
    if (why !== undefined) throw new Error(`${fault.id} cannot be injected: ${why}`);
    const { leader, primary } = await untilHealthy(here);
    await monotonicClock.sleep(QUIET_MS);
    const standbys = here.nodes.map(({ id }) => id).filter((id) => id !== primary);
    const injected = await fault.inject({ bed: here, random, primary, leader, standbys });
    try {
      console.log(`${fault.id} ${injected.what}: ${await injected.proof()}`);
      await monotonicClock.sleep(lastsMs);
    } finally {
      await injected.heal();
    }
  }
  const after = await untilHealthy(here, 120_000);
  await monotonicClock.sleep(QUIET_MS);
  const [readings, bank] = clients;
  await Promise.all([readings.stop(), bank.stop()]);
  const failovers = Number(after.epoch - before.epoch);
  return { readings, bank, failovers, uri: here.node(after.primary).data.uri };
}

test("with strict reads no primary shows the past, and standbys never go back", async () => {
  const { readings, bank, failovers, uri } = await underFaults({ strict_reads: true }, [
    [CUT_OFF, 8000],
    ["the primary's node is killed", 3000],
    ["a standby is cut off from the other nodes", 4000],
  ]);
  const verdict = await readings.judge(uri, { strict: true });
  const sums = await bank.judge(uri);
  console.log(JSON.stringify({ verdict, sums, failovers }));
  expect(verdict.anomalies).toEqual([]);
  expect(sums.anomalies).toEqual([]);
  expect(failovers).toBeGreaterThanOrEqual(2);
  expect(Math.min(verdict.primary, verdict.standby)).toBeGreaterThan(100);
  expect(Math.min(verdict.added.ok, sums.moved.ok, sums.different)).toBeGreaterThan(100);
  expect(verdict.added.unknown).toBeGreaterThan(0);
}, 300_000);

test("without strict reads a primary that was cut off shows the past, and only that", async () => {
  const { readings, failovers, uri } = await underFaults({}, [[CUT_OFF, 8000]]);
  const verdict = await readings.judge(uri, { strict: false });
  console.log(JSON.stringify({ verdict, failovers }));
  expect(failovers).toBeGreaterThanOrEqual(1);
  expect(verdict.anomalies).toEqual([]);
  const { adds } = readings;
  const primaries = readings.readings.filter(({ server }) => server === "primary");
  const everything = [[0, adds.length + 1]] as const;
  const asIfStrict = readAnomalies({ adds, readings: primaries, final: everything, strict: true });
  const found = new Set(asIfStrict.map((one) => one.class));
  console.log(`as if strict: ${asIfStrict.length} are ${[...found].join(", ")}`);
  expect([...found]).toEqual(["stale"]);
}, 300_000);
