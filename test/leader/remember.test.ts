/** What silence has cost whom outlives the worker that saw it, on a clock that no wall clock moves (H47). */
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Clock } from "../../src/clock/clock.ts";
import { agoMs } from "../../src/config/kept-silences.ts";
import type { ClusterView } from "../../src/db/cluster.ts";
import { quietHints } from "../../src/db/hints.ts";
import { recallFlaps, rememberFlaps } from "../../src/leader/remember.ts";
import { Flaps, PrimaryWatch } from "../../src/leader/watch.ts";
import { silentLog } from "../../src/log/logger.ts";
import { until } from "../support/until.ts";

const clusterId = "10000000-0000-4000-8000-000000000001";
let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "silences-"));
});

afterEach(async () => {
  await rm(dir, { recursive: true });
});

/** Of a process that started when the machine had been up for `bootMs`. */
function clockOf(bootMs: number, startedMs = 0): Clock & { passed: number } {
  const clock = {
    passed: 0,
    now: () => startedMs + clock.passed,
    sinceBootMs: () => bootMs + clock.passed,
    sleep: async () => undefined,
  };
  return clock;
}

type Epochs = ClusterView["epochs"];
const epoch = (number: bigint, cause: string, old_primary: number | null) =>
  ({ epoch: number, cause, old_primary }) as Epochs[number];

/** A worker's memory, from its start until it has seen all these. */
async function worker(clock: Clock, ...looks: readonly Epochs[]): Promise<Flaps> {
  const watch = new PrimaryWatch({ clock, probe: async () => "answers" });
  const config = { dir, clusterId };
  await recallFlaps(config, watch.flaps, clock);
  const end = new AbortController();
  const resting = { ...clock, sleep: rest };
  const hints = quietHints(resting);
  let looked = 0;
  const readView = async () => {
    const epochs = looks[Math.min(looked, looks.length - 1)];
    looked += 1;
    return { epochs } as ClusterView;
  };
  const o = { config, owner: undefined, log: silentLog, readView, hints };
  const running = rememberFlaps({
    ...o,
    watch,
    clock: resting,
    signal: end.signal,
  });
  await until("all is seen", { limitMs: 5000 }, async () => looked > looks.length);
  end.abort();
  hints.nudge();
  await running;
  return watch.flaps;
}

const rest = () => new Promise<void>((resolve) => setTimeout(resolve, 1));
const FOUNDED = epoch(1n, "founding", null);
const SILENT = epoch(2n, "node_silent", 1);

test("the next worker counts on from where the last one was", async () => {
  const first = clockOf(1_000_000);
  await worker(first, [FOUNDED], [SILENT, FOUNDED]);
  const next = clockOf(1_012_000, 77);
  const flaps = await worker(next, [SILENT, FOUNDED]);
  expect(flaps.facts(next.now())).toEqual(new Map([[1, { count: 1, sinceMs: 12_000 }]]));
});

test("what came to pass while no worker ran counts from its first look", async () => {
  await worker(clockOf(1_000_000), [FOUNDED], [SILENT, FOUNDED]);
  const next = clockOf(1_030_000);
  const flaps = await worker(next, [epoch(4n, "hung", 1), epoch(3n, "switchover", 2), SILENT]);
  expect(flaps.facts(next.now())).toEqual(new Map([[1, { count: 2, sinceMs: 0 }]]));
});

test("after a start of the machine it counts from that start", async () => {
  await worker(clockOf(1_000_000), [FOUNDED], [SILENT, FOUNDED]);
  const next = clockOf(20_000);
  const flaps = await worker(next, [SILENT, FOUNDED]);
  expect(flaps.facts(next.now())).toEqual(new Map([[1, { count: 1, sinceMs: 20_000 }]]));
  expect([agoMs(500, 700), agoMs(700, 500)]).toEqual([200, 500]);
});

test("nothing is written that holds nobody down, and history is none of this", async () => {
  const flaps = await worker(
    clockOf(1000),
    [SILENT, FOUNDED],
    [epoch(3n, "no_primary", 2), SILENT],
  );
  expect(flaps.facts(0).size).toBe(0);
  expect(await readdir(dir)).toEqual([]);
});

test("half a file, or another cluster's, says nothing", async () => {
  const silences = join(dir, "silences.json");
  for (const text of ["", '{"cluster_id":', textOf("20000000-0000-4000-8000-000000000001")]) {
    await writeFile(silences, text);
    const flaps = new Flaps();
    await recallFlaps({ dir, clusterId }, flaps, clockOf(9000));
    expect(flaps.facts(0).size).toBe(0);
  }
  await writeFile(silences, textOf(clusterId));
  const flaps = new Flaps();
  await recallFlaps({ dir, clusterId }, flaps, clockOf(9000));
  expect(flaps.facts(0)).toEqual(new Map([[1, { count: 3, sinceMs: 8000 }]]));
});

function textOf(cluster_id: string): string {
  const nodes = [{ node_id: 1, count: 3, boot_ms: 1000 }];
  return JSON.stringify({ cluster_id, newest: "2", nodes });
}
