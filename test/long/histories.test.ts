/**
 * The log as a service while its leaders die, freeze and are cut off: keys are linearizable, and the log is one order,
 * the same on every node. What clients saw is judged by the checkers of test/histories.
 */
import { afterAll, expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { keyAnomalies } from "../histories/keys.ts";
import { type Bed, openBed } from "../support/bed/bed.ts";
import { CATALOGUE } from "../support/faults/catalogue.ts";
import { unable } from "../support/faults/fault.ts";
import { untilHealthy } from "../support/health.ts";
import { useKeptLogs } from "../support/kept-logs.ts";
import { judgeService } from "../support/load/judge-service.ts";
import { type Service, startService } from "../support/load/service.ts";
import { Random } from "../support/random.ts";

const SEED = Number(process.env.PGR_TEST_SEED ?? 1);
const QUIET_MS = 2000;
let bed: Bed | undefined;
let service: Service | undefined;
const kept = useKeptLogs(() => bed?.logs() ?? []);

afterAll(async () => {
  await service?.stop();
  const files = await kept.end();
  await bed?.close(files);
}, 120_000);

/** What is done to the leader's node, and how long it lasts, milliseconds; whether it must lose its lead. */
const SEQUENCE: readonly (readonly [string, number, "another leads" | "any may lead"])[] = [
  ["the primary's node is killed", 3000, "another leads"],
  ["the primary's node is frozen", 5000, "another leads"],
  ["the primary is cut off from the other nodes, not from clients", 8000, "another leads"],
  ["a standby is cut off from the other nodes", 9000, "any may lead"],
  ["the control store of the primary's node is killed", 1000, "any may lead"],
  ["a standby's control store is wiped", 1000, "any may lead"],
  ["the primary's worker stands still", 4000, "another leads"],
  ["power is cut everywhere", 0, "any may lead"],
];

test("keys are linearizable and the log is one, over leaders killed, frozen and cut off", async () => {
  bed = await openBed({ seed: SEED });
  kept.healthy();
  console.log(bed.host.describe());
  service = startService(bed, new Random(`${SEED}/service`), "eager");
  const random = new Random(`${SEED}/histories`);
  let changes = 0;
  for (const [name, lastsMs, expected] of SEQUENCE) {
    const fault = CATALOGUE.find((one) => one.name === name);
    if (fault === undefined) throw new Error(`no fault is called ${name}`);
    const why = unable(fault, bed);
    if (why !== undefined) {
      console.log(`${fault.id} ${name}: skipped (capability): ${why}`);
      continue;
    }
    const { leader } = await untilHealthy(bed);
    await monotonicClock.sleep(QUIET_MS);
    const standbys = bed.nodes.map(({ id }) => id).filter((id) => id !== leader);
    const injected = await fault.inject({ bed, random, primary: leader, leader, standbys });
    try {
      console.log(`${fault.id} ${injected.what}: ${await injected.proof()}`);
      await monotonicClock.sleep(lastsMs);
    } finally {
      await injected.heal();
    }
    const after = await untilHealthy(bed, 120_000);
    if (after.leader !== leader) changes += 1;
    const { keys, log } = service.counts;
    console.log(`   leader ${leader} → ${after.leader}`, JSON.stringify({ keys, log }));
    if (expected === "another leads") expect(after.leader).not.toBe(leader);
  }
  await monotonicClock.sleep(QUIET_MS);
  await service.stop();
  await untilHealthy(bed);
  const verdict = await judgeService(bed, service);
  console.log(JSON.stringify({ ...verdict, changes }));
  expect(verdict.anomalies).toEqual([]);
  expect(changes).toBeGreaterThanOrEqual(2);
  for (const { ok, unknown } of Object.values(verdict.counts)) {
    expect(ok).toBeGreaterThan(200);
    expect(ok).toBeGreaterThan(unknown);
  }
  // Without refused and unknown ones the faults touched nobody.
  expect(verdict.counts.keys.unknown).toBeGreaterThan(0);
  expect(verdict.counts.keys.fail).toBeGreaterThan(0);
  expect(verdict.entries).toBeGreaterThanOrEqual(verdict.counts.log.ok);
  // Local readings may be old. Were they taken for linearizable ones, it would show.
  const blind = keyAnomalies([...service.operations, ...service.local], 50_000);
  expect(blind.map((one) => one.class)).toContain("not linearizable");
}, 600_000);
