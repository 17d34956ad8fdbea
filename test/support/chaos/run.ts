/** A random composition of faults under load, from one seed: safety while they last, convergence after each. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { monotonicClock } from "../../../src/clock/clock.ts";
import type { Bed } from "../bed/bed.ts";
import { CATALOGUE } from "../faults/catalogue.ts";
import { type Fault, unable } from "../faults/fault.ts";
import { untilHealthy } from "../health.ts";
import { differences } from "../load/equal.ts";
import { type Load, startLoad, type Verdict } from "../load/load.ts";
import { Random } from "../random.ts";
import { until } from "../until.ts";
import {
  brokenPromises,
  type ChaosReport,
  isSpurious,
  reportOf,
  tooLate,
  vacuous,
  type WindowReport,
} from "./report.ts";
import { faultWindow, type Window } from "./window.ts";

export interface ChaosOptions {
  readonly bed: Bed;
  readonly seed: number;
  readonly minutes: number;
  /** Of W2, beside the two that measure: as fast as they can. */
  readonly writers?: number;
  /** Ids or parts of names of the faults to choose from; default: all. */
  readonly only?: readonly string[];
  readonly without?: readonly string[];
  /** Run them one after the other, once each, instead of for a time. */
  readonly each?: boolean;
  /** All of them at once, for the whole time. */
  readonly hold?: boolean;
  readonly say?: (line: string) => void;
}

/** Bold faults are drawn this much more often. */
const BOLD_WEIGHT = 3;
/** So often two faults overlap. */
const TWO_AT_ONCE = 0.3;
const QUIET_MS = 2000;
const TELL_MS = 60_000;
const JUDGE_MS = 180_000;

interface Run extends ChaosOptions {
  readonly load: Load;
  readonly choose: Random;
  readonly chance: Random;
  readonly windows: WindowReport[];
  readonly counts: Map<Fault, number>;
  readonly spurious: string[];
  readonly forgotten: string[];
  /** Not together, or not writable again, within the limit. */
  readonly late: string[];
  readonly invalid: string[];
  readonly quiet: { attempted: number; acknowledged: number };
}

function matching(fault: Fault, words: readonly string[]): boolean {
  return words.some((word) => fault.id === word || fault.name.includes(word));
}

/** Run it; never throws for what the cluster does: that is what the report is for. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { bed, seed, only, without = [], say = () => undefined } = options;
  const wanted = CATALOGUE.filter(
    (fault) => (only === undefined || matching(fault, only)) && !matching(fault, without),
  );
  const skipped = wanted.flatMap((fault) => {
    const why = unable(fault, bed);
    return why === undefined ? [] : [{ id: fault.id, name: fault.name, why }];
  });
  for (const { id, name, why } of skipped) say(`${id} ${name}: skipped (capability): ${why}`);
  const able = wanted.filter((fault) => unable(fault, bed) === undefined);
  const run: Run = {
    ...options,
    load: await startLoad(bed, new Random(`${seed}/lists`), {
      with: ["service", "bank", "readings"],
      writers: options.writers ?? 0,
    }),
    choose: new Random(`${seed}/choose`),
    chance: new Random(`${seed}/chance`),
    windows: [],
    counts: new Map(able.map((fault) => [fault, 0])),
    spurious: [],
    forgotten: [],
    late: [],
    invalid: [],
    quiet: { attempted: 0, acknowledged: 0 },
  };
  const failures: string[] = [];
  await compose(run, able).catch((error: Error) => failures.push(error.message));
  const end = await judge(run).catch((error: Error) => {
    failures.push(error.message);
    return { verdict: undefined, found: [] as string[] };
  });
  const report = finish(run, { skipped, failures, ...end });
  if (report.failures.length > 0) await keepHistories(run);
  return report;
}

/** Windows until the time is over, or each fault once. */
async function compose(run: Run, able: readonly Fault[]): Promise<void> {
  const lastsMs = run.minutes * 60_000;
  if (run.hold === true) return await held(run, able, lastsMs);
  const until = monotonicClock.now() + lastsMs;
  if (run.each === true) {
    for (const fault of able) await oneWindow(run, [fault]);
    return;
  }
  while (monotonicClock.now() < until && able.length > 0) {
    const first = draw(run.choose, able);
    const others = able.filter((fault) => goTogether(first, fault));
    const two = run.choose.chance(TWO_AT_ONCE) && others.length > 0;
    await oneWindow(run, two ? [first, draw(run.choose, others)] : [first]);
  }
}

function goTogether(first: Fault, other: Fault): boolean {
  if (first.stopsAll === true || other.stopsAll === true) return false;
  return first.id !== other.id && !(first.forgets === true && other.forgets === true);
}

function draw(random: Random, from: readonly Fault[]): Fault {
  return random.pick(from.flatMap((fault) => Array(fault.bold ? BOLD_WEIGHT : 1).fill(fault)));
}

/** One window as long as the run; told of once a minute. */
async function held(run: Run, faults: readonly Fault[], lastsMs: number): Promise<void> {
  const over = new AbortController();
  const telling = (async () => {
    while (!over.signal.aborted) {
      await monotonicClock.sleep(TELL_MS, over.signal);
      run.say?.(`   ${acknowledgedSoFar(run)}`);
    }
  })();
  await oneWindow(run, faults, lastsMs).finally(() => over.abort());
  await telling;
}

const acknowledgedSoFar = ({ load }: Run) =>
  `${load.writers.reduce((sum, writer) => sum + writer.acknowledged, 0)} acknowledged so far`;

async function oneWindow(run: Run, faults: readonly Fault[], lastsMs?: number): Promise<void> {
  const { bed, load, say = () => undefined } = run;
  await quietly(run);
  const label = faults.map(({ id, name }) => `${id} ${name}`).join(" + ");
  let window: Window;
  try {
    const options = { bed, load, random: run.chance, say };
    window = await faultWindow(faults, lastsMs === undefined ? options : { ...options, lastsMs });
  } catch (error) {
    throw new Error(`${label}: ${(error as Error).message}`, { cause: error });
  }
  const report = reportOf(window);
  run.windows.push(report);
  run.forgotten.push(...window.forgotten.map((one) => `${label}: ${one}`));
  for (const { fault } of window.injected) run.counts.set(fault, (run.counts.get(fault) ?? 0) + 1);
  expectations(run, window, report);
  const gap = `gap ${report.gapMs} ms, whole after ${(report.convergedMs / 1000).toFixed(1)} s`;
  say(`   ${gap}, failovers ${report.failovers}; ${acknowledgedSoFar(run)}`);
}

/** What a single fault must or must not bring about. */
function expectations(run: Run, { injected, inapplicable }: Window, report: WindowReport): void {
  const { failovers } = report;
  const kinds = [...injected, ...inapplicable].map(({ fault }) => fault.failover);
  const what = injected.map((one) => one.what).join(" + ");
  if (isSpurious(kinds, failovers)) run.spurious.push(what);
  run.late.push(...tooLate(kinds, report).map((why) => `${what}: ${why}`));
  if (kinds.length === 1 && kinds[0] === "must" && failovers === 0) {
    run.invalid.push(`no failover followed: ${what}`);
  }
}

/** A moment without faults: it shows that the load is one. */
async function quietly(run: Run): Promise<void> {
  await untilHealthy(run.bed);
  const { hasty } = run.load;
  const before = { attempted: hasty.attempted, acknowledged: hasty.acknowledged };
  await monotonicClock.sleep(QUIET_MS);
  run.quiet.attempted += hasty.attempted - before.attempted;
  run.quiet.acknowledged += hasty.acknowledged - before.acknowledged;
}

async function judge(run: Run): Promise<{ verdict: Verdict; found: string[] }> {
  await run.load.stop();
  // A failover under the reader's feet is no verdict: it reads again.
  return await until("the cluster is read", { limitMs: JUDGE_MS, everyMs: 1000 }, async () => {
    const { primary } = await untilHealthy(run.bed);
    const verdict = await run.load.judge(run.bed);
    return { verdict, found: await differences(run.bed, primary) };
  });
}

/** What clients saw, beside the logs. */
async function keepHistories({ bed, load }: Run): Promise<void> {
  const { lists, service, ledger } = load;
  const text = JSON.stringify({ lists, service, ledger }, (_, one) =>
    typeof one === "bigint" ? `${one}` : one,
  );
  await writeFile(join(bed.top, "histories.json"), text);
}

function finish(
  run: Run,
  rest: Pick<ChaosReport, "skipped" | "failures" | "verdict"> & { found: string[] },
): ChaosReport {
  const { bed, seed, minutes, windows, spurious, quiet, counts } = run;
  const { verdict, found, skipped, failures } = rest;
  const broken = verdict === undefined ? [] : brokenPromises(verdict, found);
  return {
    seed,
    minutes,
    nodes: bed.size,
    network: bed.network.kind,
    host: bed.host.describe(),
    faults: [...counts].map(([{ id, name }, injected]) => ({ id, name, injected })),
    skipped,
    windows,
    failovers: windows.reduce((sum, { failovers }) => sum + failovers, 0),
    spurious,
    verdict,
    differences: found,
    quiet,
    failures: [
      ...failures,
      ...run.forgotten.map((one) => `a promise was forgotten: ${one}`),
      ...spurious.map((one) => `the primary was replaced for nothing: ${one}`),
      ...run.late,
      ...broken,
    ],
    invalid: [...run.invalid, ...vacuous({ quiet, verdict, windows })],
  };
}
