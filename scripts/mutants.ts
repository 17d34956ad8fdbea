/**
 * Kills the mutants of test/mutants, one after the other: `npm run mutants -- [M01 M20 …] [--quick] [--seeds 200]
 * [--json FILE]`, or `--ledger` for docs/mutants.md alone. Each is applied to a copy of the project and given to the
 * killer it names; the exit code is 1 when one survives. `--quick`: those of `npm test`.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ledger } from "../test/mutants/ledger.ts";
import { isLive } from "../test/mutants/mutant.ts";
import { MUTANTS } from "../test/mutants/mutants.ts";
import { type Death, kill, PROJECT } from "../test/mutants/run.ts";
import { readOptions } from "./options.ts";

const { values, positionals } = readOptions({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    seeds: { type: "string", default: "200" },
    json: { type: "string" },
    ledger: { type: "boolean", default: false },
  },
});

if (values.ledger) {
  await writeFile(join(PROJECT, "docs/mutants.md"), ledger());
  process.exit();
}
const wanted = MUTANTS.filter(
  ({ id }) => positionals.length === 0 || positionals.some((word) => id.startsWith(word)),
);
const deaths: Death[] = [];
const line = (...cells: readonly [string, string, string, string, string]) => {
  const [id, rule, seconds, outcome, rest] = cells;
  const left = `${id.padEnd(5)} ${rule.padEnd(16)} ${seconds.padStart(7)}`;
  process.stdout.write(`${left}  ${outcome.padEnd(14)} ${rest}\n`);
};

line("", "breaks", "", "", "");
for (const mutant of wanted) {
  if (!isLive(mutant)) {
    if (!values.quick) line(mutant.id, "", "", "not applicable", `${mutant.bug}: ${mutant.why}`);
    continue;
  }
  if (values.quick && mutant.quick !== true) continue;
  const death = await kill(mutant, Number(values.seeds));
  deaths.push(death);
  const { id, rule, seconds, outcome, bug, killer, because } = death;
  line(id, rule, `${seconds.toFixed(1)} s`, outcome, bug);
  line("", "", "", "", `${killer} → ${because}`);
}

const survivors = deaths.filter(({ outcome }) => outcome === "survived");
const seconds = deaths.reduce((sum, one) => sum + one.seconds, 0);
process.stdout.write(
  `\n${deaths.length - survivors.length} of ${deaths.length} killed in ${Math.round(seconds)} s` +
    `${survivors.length === 0 ? "" : `; alive: ${survivors.map(({ id }) => id).join(", ")}`}\n`,
);
if (values.json !== undefined) {
  const absent = wanted.flatMap((one) =>
    isLive(one) ? [] : [{ ...one, outcome: "not applicable" }],
  );
  await writeFile(values.json, JSON.stringify([...deaths, ...absent], null, 1));
}
process.exitCode = survivors.length === 0 ? 0 : 1;
