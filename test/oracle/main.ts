/**
 * The oracle by hand: `npm run oracle -- [--seeds N] [--from SEED] [--steps N] [--bin-dir DIR]`.
 *
 * Plays N seeds on PGlite, or on a real server whose programs are in DIR (`installed` takes the newest found).
 */
import { readOptions } from "../../scripts/options.ts";
import { openScratch } from "../support/scratch.ts";
import { type Database, openDatabases, openPglite } from "./database.ts";
import { runSeeds } from "./run-seeds.ts";
import { Store } from "./store.ts";

const { values } = readOptions({
  options: {
    seeds: { type: "string", default: "60" },
    from: { type: "string", default: "1" },
    steps: { type: "string", default: "250" },
    "bin-dir": { type: "string" },
  },
});

async function play(database: Database): Promise<void> {
  const started = performance.now();
  const seeds = {
    from: Number(values.from),
    count: Number(values.seeds),
    steps: Number(values.steps),
  };
  const counts = await runSeeds(await Store.create(1, database), seeds);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`${seeds.count} seeds agree in ${seconds} s: ${JSON.stringify(counts)}\n`);
}

const binDir = values["bin-dir"];
if (binDir === undefined) {
  const database = await openPglite();
  await play(database).finally(() => database.close());
} else {
  const options = binDir === "installed" ? {} : { binDir };
  const scratch = await openScratch("oracle", options);
  try {
    const [database] = await openDatabases(scratch, 1);
    if (database !== undefined) await play(database);
  } finally {
    await scratch.close();
  }
}
