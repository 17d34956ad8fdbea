/** The contract test `chaos`: a fixed sequence of faults under load; one acknowledged row that is missing fails it. */
import { afterAll, expect, test } from "vitest";
import { type Bed, openBed } from "../support/bed/bed.ts";
import { describeReport } from "../support/chaos/report.ts";
import { runChaos } from "../support/chaos/run.ts";
import { faultWindow } from "../support/chaos/window.ts";
import { CATALOGUE } from "../support/faults/catalogue.ts";
import { unable } from "../support/faults/fault.ts";
import { primaries } from "../support/health.ts";
import { useKeptLogs } from "../support/kept-logs.ts";
import { differences } from "../support/load/equal.ts";
import { startLoad } from "../support/load/load.ts";
import { Random } from "../support/random.ts";

const SEED = Number(process.env.PGR_TEST_SEED ?? 1);
let bed: Bed | undefined;
const kept = useKeptLogs(() => bed?.logs() ?? []);

afterAll(async () => {
  const files = await kept.end();
  await bed?.close(files);
}, 120_000);

/** What is done, in this order, and how long it lasts, milliseconds. */
const SEQUENCE: readonly (readonly [string, number])[] = [
  ["the primary is cut off from the other nodes, not from clients", 5000],
  ["the primary's node is frozen", 4000],
  ["the primary's node is killed", 2000],
  ["the primary's node comes back 45 s ahead", 5000],
  ["the primary's disk takes 300 ms to sync", 6000],
  ["the primary's node is frozen", 4000],
  ["all nodes are restarted, one after another", 0],
];

test("partition, freeze, kill, clock, slow disk, freeze, rolling restart: nothing acknowledged is lost", async () => {
  bed = await openBed({ seed: SEED });
  kept.healthy();
  console.log(bed.host.describe());
  const load = await startLoad(bed, new Random(SEED), { with: ["service"] });
  const random = new Random(`${SEED}/chaos`);
  for (const [name, lastsMs] of SEQUENCE) {
    const fault = CATALOGUE.find((one) => one.name === name);
    if (fault === undefined) throw new Error(`no fault is called ${name}`);
    const why = unable(fault, bed);
    if (why !== undefined) {
      console.log(`${fault.id} ${name}: skipped (capability): ${why}`);
      continue;
    }
    const window = await faultWindow([fault], { bed, load, random, lastsMs, say: console.log });
    expect(window.forgotten).toEqual([]);
  }
  await load.hasty.untilAcknowledged(100, 30_000);
  await load.stop();
  const verdict = await load.judge(bed);
  expect(verdict.acknowledged).toBeGreaterThan(100);
  expect(verdict.lost).toEqual([]);
  expect(verdict.invented).toEqual([]);
  expect(verdict.twoWriters).toEqual([]);
  expect(verdict.listAnomalies).toEqual([]);
  expect(verdict.service?.anomalies).toEqual([]);
  const [primary = 0, ...more] = await primaries(bed);
  expect(more).toEqual([]);
  expect(await differences(bed, primary)).toEqual([]);
}, 900_000);

test("three minutes of random faults", async () => {
  if (bed === undefined) throw new Error("there is no bed");
  const report = await runChaos({ bed, seed: SEED, minutes: 3, say: console.log });
  console.log(describeReport(report));
  expect(report.failures).toEqual([]);
  expect(report.invalid).toEqual([]);
}, 1_200_000);
