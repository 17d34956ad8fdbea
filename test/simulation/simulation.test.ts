/** The simulated seeds of this suite, in two processes; every invariant holds, and the runs were not empty. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fully } from "../support/fully.ts";
import { type Summary, simulate } from "./programs.ts";

const LIMIT_MS = 14 * 60_000;
/** A quarter of a second of a core each. */
const SEEDS = Number(process.env.SIMULATE_SEEDS ?? (fully ? 4000 : 2000));
/** A little more each. */
const CHANGED = fully ? 1000 : 100;
const CORPUS = join(import.meta.dirname, "corpus");

test(`${SEEDS} seeds hold`, { timeout: LIMIT_MS }, async () => {
  const half = Math.ceil(SEEDS / 2);
  const runs = await Promise.all([
    simulate(["--seeds", String(half), "--from", "1"]),
    simulate(["--seeds", String(SEEDS - half), "--from", String(half + 1)]),
  ]);
  for (const { summary, output } of runs) {
    expect(summary.failed, output.slice(-12_000)).toEqual([]);
  }
  const all = (of: (one: Summary) => number) =>
    runs.reduce((sum, { summary }) => sum + of(summary), 0);
  // Not empty: writes were acknowledged, entries committed, primaries died, and others took over, logs were cut.
  expect(all((one) => one.seeds)).toBe(SEEDS);
  expect(all((one) => one.acknowledged)).toBeGreaterThan(SEEDS * 20);
  expect(all((one) => one.committed)).toBeGreaterThan(SEEDS * 20);
  expect(all((one) => one.primaryFaults)).toBeGreaterThan(SEEDS / 20);
  expect(all((one) => one.promotions)).toBeGreaterThan(SEEDS + all((one) => one.primaryFaults) / 2);
  expect(all((one) => one.leaders)).toBeGreaterThan(SEEDS);
  expect(all((one) => one.snapshots)).toBeGreaterThan(SEEDS / 10);
});

test("timers that change under way, each node's on its own, break nothing", {
  timeout: LIMIT_MS,
}, async () => {
  const kinds = "retime,retime,retime,kill_primary,cut_primary,kill_node,partition,freeze_worker";
  const { summary, output } = await simulate(["--seeds", "40", "--from", "9001", "--kinds", kinds]);
  expect(summary.failed, output.slice(-12_000)).toEqual([]);
  expect(summary.faults).toBeGreaterThan(40);
  expect(summary.leaders).toBeGreaterThan(40);
});

test(`${CHANGED} seeds in which the members change hold`, { timeout: LIMIT_MS }, async () => {
  const half = Math.ceil(CHANGED / 2);
  const runs = await Promise.all([
    simulate(["--changes", "--seeds", String(half), "--from", "1"]),
    simulate(["--changes", "--seeds", String(CHANGED - half), "--from", String(half + 1)]),
  ]);
  for (const { summary, output } of runs) {
    expect(summary.failed, output.slice(-12_000)).toEqual([]);
  }
  // Not empty: changes of each kind were committed while a fault had its effect.
  for (const kind of ["add_member", "voter", "remove", "readmit", "set_member"]) {
    const count = runs.reduce((sum, { summary }) => sum + (summary.changes[kind] ?? 0), 0);
    expect(count, kind).toBeGreaterThanOrEqual(CHANGED / 10);
  }
});

test("20 seeds twice, in two processes, leave the same traces, and one of them alone its own", {
  timeout: LIMIT_MS,
}, async () => {
  const again = () => simulate(["--seeds", "20", "--from", "5001", "--no-shrink"]);
  const [first, second] = await Promise.all([again(), again()]);
  expect(Object.keys(first.summary.hashes)).toHaveLength(20);
  expect(second.summary.hashes).toEqual(first.summary.hashes);
  const alone = await simulate(["--seed", "5020", "--no-shrink"]);
  expect(alone.summary.hashes["5020"]).toBe(first.summary.hashes["5020"]);
});

test("runs that failed once hold now", { timeout: LIMIT_MS }, async () => {
  const names = (await readdir(CORPUS)).filter((name) => name.endsWith(".json"));
  expect(names.length).toBeGreaterThan(0);
  for (const name of names) {
    const { scenario } = JSON.parse(await readFile(join(CORPUS, name), "utf8"));
    const ran = await simulate([
      "--seed",
      String(scenario.seed),
      "--scenario",
      JSON.stringify(scenario),
    ]);
    expect(ran.summary.failed, `${name}:\n${ran.output.slice(-6000)}`).toEqual([]);
  }
});
