/**
 * Kills the mutants of test/mutants in the simulation: `npm run mutants -- [M01 M20 …] [--seeds 500] [--jobs
 * 2] [--json FILE]`.
 * Each is applied to a copy of the project; the exit code is 1 when one survives, or is caught by another
 * invariant only.
 */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { MUTANTS, SIMULATED } from "../test/mutants/mutants.ts";
import { type Death, kill, median } from "../test/mutants/run.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: "string", default: "500" },
    jobs: { type: "string", default: "2" },
    json: { type: "string" },
  },
});

const wanted = MUTANTS.filter(
  ({ id }) => positionals.length === 0 || positionals.some((word) => id.startsWith(word)),
);
const queue = SIMULATED.filter((one) => wanted.includes(one));
const deaths: Death[] = [];

async function work(): Promise<void> {
  for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
    const death = await kill(mutant, Number(values.seeds));
    deaths.push(death);
    const how = death.killed
      ? `killed by ${death.by.join(", ")} after ${death.seeds} seeds`
      : `SURVIVES ${death.seeds} seeds${death.by.length === 0 ? "" : `, though ${death.by.join(", ")} was violated`}`;
    process.stdout.write(
      `${mutant.id.padEnd(5)} ${how} (${death.seconds.toFixed(0)} s): ${mutant.bug}\n`,
    );
  }
}

await Promise.all(Array.from({ length: Number(values.jobs) }, work));
for (const mutant of wanted) {
  if (mutant.layer === "L1") continue;
  process.stdout.write(`${mutant.id.padEnd(5)} ${mutant.layer}: ${mutant.why}\n`);
}
const killed = deaths.filter((one) => one.killed);
process.stdout.write(
  `${killed.length} of ${deaths.length} killed; seeds to kill: median ${median(killed.map(({ seeds }) => seeds))}\n`,
);
if (values.json !== undefined) await writeFile(values.json, JSON.stringify(deaths, null, 1));
process.exitCode = killed.length === deaths.length ? 0 : 1;
