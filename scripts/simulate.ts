/**
 * Runs the deterministic simulation: `npm run simulate -- --seeds 200 [--from S] [--seed S] [--trace] [--json FILE]
 * [--kinds a,b] [--nodes N] [--mode M]
 * [--changes] [--until D1,D4] [--no-shrink]`.
 * A failing seed is shrunk and printed with the command that shows it again; the exit code is 1 then.
 */
import { writeFile } from "node:fs/promises";
import type { Outcome } from "../test/simulation/run.ts";
import type { Given, Kind, Scenario } from "../test/simulation/scenario.ts";
import { substitute } from "../test/simulation/substitute.ts";
import { readOptions } from "./options.ts";

substitute();
const { scenarioOf } = await import("../test/simulation/scenario.ts");
const { run } = await import("../test/simulation/run.ts");
const { shrink } = await import("../test/simulation/shrink.ts");

const { values } = readOptions({
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    kinds: { type: "string" },
    nodes: { type: "string" },
    mode: { type: "string" },
    changes: { type: "boolean", default: false },
    scenario: { type: "string" },
    trace: { type: "boolean", default: false },
    json: { type: "string" },
    until: { type: "string" },
    "no-shrink": { type: "boolean", default: false },
  },
});

if (values.trace) Error.stackTraceLimit = 10;
const given: Given = {
  ...(values.kinds === undefined ? {} : { kinds: values.kinds.split(",") as Kind[] }),
  ...(values.nodes === undefined ? {} : { nodes: Number(values.nodes) }),
  ...(values.mode === undefined ? {} : { mode: values.mode as NonNullable<Given["mode"]> }),
  changes: values.changes,
};
/** Mutants are killed by an invariant that is named: once it shows, no further seed is needed. */
const wanted = values.until?.split(",") ?? [];
const from = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.seeds) : 1;
const started = performance.now();
const outcomes: Outcome[] = [];
const failures: Outcome[] = [];

for (let seed = from; seed < from + count; seed += 1) {
  const scenario: Scenario =
    values.scenario === undefined
      ? scenarioOf(seed, given)
      : { ...JSON.parse(values.scenario), seed };
  const outcome = await run(scenario, values.trace ? { onTrace: print } : {});
  // What happened last is told of a failure only; thousands of runs would not fit into memory with it.
  outcomes.push({ ...outcome, events: [] });
  if (outcome.violations.length === 0) continue;
  failures.push(outcome);
  print(`seed ${seed} FAILS: ${outcome.violations.map(describe).join("; ")}`);
  if (outcome.violations.some(({ invariant }) => wanted.includes(invariant))) break;
  if (!values["no-shrink"]) await explain(outcome);
}
summarise();
if (values.json !== undefined) await writeFile(values.json, JSON.stringify(summary(), null, 1));
process.exit(failures.length === 0 ? 0 : 1);

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function describe({ invariant, message, at }: Outcome["violations"][number]): string {
  return `${invariant} at ${at.toFixed(0)} ms: ${message}`;
}

/** The shortest list of actions that still fails, its last events, and how to see it again. */
async function explain(outcome: Outcome): Promise<void> {
  const shortest = await shrink(outcome);
  const again = await run(shortest);
  for (const line of again.events) print(`  ${line}`);
  print(`  ${again.violations.map(describe).join("; ")}`);
  for (const action of shortest.actions) print(`  ${JSON.stringify(action)}`);
  print(
    `  npm run simulate -- --trace --seed ${shortest.seed} --scenario '${JSON.stringify(shortest)}'`,
  );
}

function summary() {
  const sum = (of: (outcome: Outcome) => number) => outcomes.reduce((all, one) => all + of(one), 0);
  return {
    seeds: outcomes.length,
    failed: failures.map(({ scenario, violations }) => ({
      seed: scenario.seed,
      invariants: violations.map(({ invariant }) => invariant),
    })),
    seconds: (performance.now() - started) / 1000,
    steps: sum(({ steps }) => steps),
    virtualSeconds: sum(({ virtualMs }) => virtualMs) / 1000,
    acknowledged: sum(({ acknowledged }) => acknowledged),
    committed: sum(({ committed }) => committed),
    promotions: sum(({ promotions }) => promotions),
    leaders: sum(({ leaders }) => leaders),
    reads: sum(({ reads }) => reads),
    snapshots: sum(({ snapshots }) => snapshots),
    faults: sum(({ injected }) => injected),
    primaryFaults: sum(({ primaryFaults }) => primaryFaults),
    changes: counts(outcomes.flatMap(({ changes }) => changes)),
    hashes: Object.fromEntries(outcomes.map(({ scenario, hash }) => [scenario.seed, hash])),
  };
}

function counts(kinds: readonly string[]): Readonly<Record<string, number>> {
  const all: Record<string, number> = {};
  for (const kind of kinds) all[kind] = (all[kind] ?? 0) + 1;
  return all;
}

function summarise(): void {
  const { hashes: _, failed, ...figures } = summary();
  print(
    `${outcomes.length - failed.length} of ${outcomes.length} seeds hold; ${JSON.stringify(figures)}`,
  );
}
