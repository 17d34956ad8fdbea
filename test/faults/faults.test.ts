/** Each bold fault of the catalogue on one cluster of hosts of their own, under clients that write and check. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Bed, openBed } from "../support/bed/bed.ts";
import { CONVERGENCE_MS, faultWindow, type Window } from "../support/chaos/window.ts";
import { CATALOGUE } from "../support/faults/catalogue.ts";
import { doubleCrash } from "../support/faults/double-crash.ts";
import { BOUNDS, type Fault, unable } from "../support/faults/fault.ts";
import { expectWithin } from "../support/fixture.ts";
import { fully } from "../support/fully.ts";
import { useKeptLogs } from "../support/kept-logs.ts";
import { differences } from "../support/load/equal.ts";
import { startLoad, type Verdict } from "../support/load/load.ts";
import { Random } from "../support/random.ts";
import { value } from "../support/sql.ts";

/** On an overloaded machine no time is judged but this, milliseconds: it would be no machine at all. */
const NEVER_MS = 180_000;
const SEED = Number(process.env.PGR_TEST_SEED ?? 1);
vi.setConfig({ testTimeout: 180_000 });

let started: Bed | undefined;
const kept = useKeptLogs(() => started?.logs() ?? []);

beforeAll(async () => {
  const bed = await openBed({ seed: SEED });
  started = bed;
  console.log(`${bed.host.describe()}; network of ${bed.network.kind}, seed ${SEED}`);
  kept.healthy();
}, 400_000);

afterAll(async () => {
  if (started === undefined) return; // it has said why
  const bed = started;
  await bed.close(await kept.end());
}, 120_000);

function theBed(): Bed {
  if (started === undefined) throw new Error("the bed did not start");
  return started;
}

/** One fault under load, from health to health, and what became of every write. */
async function underLoad(fault: Fault): Promise<{ window: Window; verdict: Verdict }> {
  const bed = theBed();
  const load = await startLoad(bed, new Random(SEED));
  try {
    await load.hasty.untilAcknowledged(50, 20_000);
    const random = new Random(`${SEED}/${fault.id}/${fault.name}`);
    const window = await faultWindow([fault], { bed, load, random, lastsMs: fault.lasts[0] });
    await load.hasty.untilAcknowledged(50, 20_000);
    await load.stop();
    return { window, verdict: await load.judge(bed) };
  } finally {
    await load.stop();
  }
}

/** R2, R6, D1, D2, D6, D10, D16 and the bound of the fault's class. */
async function expectPromises(fault: Fault, window: Window, verdict: Verdict): Promise<void> {
  expect(verdict.lost).toEqual([]);
  expect(verdict.invented).toEqual([]);
  expect(verdict.twoWriters).toEqual([]);
  expect(verdict.listAnomalies).toEqual([]);
  expect(window.forgotten).toEqual([]);
  for (const tries of Object.values(verdict.samples)) expect(tries).toBeGreaterThan(5);
  expect(await differences(theBed(), window.after.primary)).toEqual([]);
  const failovers = window.after.epoch - window.before.epoch;
  if (fault.failover === "never") expect(failovers).toBe(0n);
  if (fault.failover === "must") expect(failovers).toBeGreaterThan(0n);
  const limit = BOUNDS[fault.bound];
  const [{ what, proof } = { what: "", proof: "" }] = window.injected;
  console.log(`${fault.id} ${what}: ${proof}; whole after ${Math.round(window.convergedMs)} ms`);
  expectWithin("convergence", window.convergedMs, CONVERGENCE_MS, window.lagMs, NEVER_MS);
  if (limit !== undefined) expectWithin("write gap", window.gapMs, limit, window.lagMs, NEVER_MS);
}

/** Those of `npm test`; `npm run test:all` injects every bold one. */
const IN_SHORT = new Set(["F01", "F02", "F13", "F40", "D15"]);

describe("bold faults", () => {
  for (const fault of CATALOGUE.filter(({ id, bold }) => bold && (fully || IN_SHORT.has(id)))) {
    test(`${fault.id} ${fault.name}`, async (context) => {
      const bed = theBed();
      const why = unable(fault, bed);
      // A host that can do the rest must be able to do this.
      if (why !== undefined && bed.host.class !== "C")
        throw new Error(`cannot be injected: ${why}`);
      if (why !== undefined) return context.skip(`skipped (capability): ${why}`);
      const { window, verdict } = await underLoad(fault);
      await expectPromises(fault, window, verdict);
    });
  }
});

if (fully)
  test("F36 a promoted node dies before its WAL reaches anyone; another is promoted; the first returns", async () => {
    const bed = theBed();
    const load = await startLoad(bed, new Random(SEED));
    await load.hasty.untilAcknowledged(50, 20_000);
    const { orphan, next, after } = await doubleCrash(bed);
    await load.hasty.untilAcknowledged(50, 20_000);
    await load.stop();
    const verdict = await load.judge(bed);
    expect(verdict.lost).toEqual([]);
    expect(verdict.invented).toEqual([]);
    expect(verdict.twoWriters).toEqual([]);
    expect(verdict.listAnomalies).toEqual([]);
    expect(next.node_id).not.toBe(orphan.node_id);
    expect(next.timeline).not.toBe(orphan.timeline); // never given out twice (H02, D3)
    const { uri } = bed.node(after.primary).data;
    const stamps = await value(uri, "select count(*) from pgreplica.stamp where epoch = $1", [
      orphan.epoch,
    ]);
    expect(stamps).toBe("0"); // its history is nobody's any more
    expect(await differences(bed, after.primary)).toEqual([]);
  });
