/** The real SQL against its twin: the same random calls to both, everything compared after each call. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { PROJECT } from "../support/programs.ts";
import { openScratch } from "../support/scratch.ts";
import { FORGOTTEN } from "./commands.ts";
import { type Database, openDatabases, openPglite } from "./database.ts";
import { runSeeds } from "./run-seeds.ts";
import { Store } from "./store.ts";
import { COMMANDS } from "./twin/cluster-commands.ts";
import { jsonbText } from "./twin/entry-hash.ts";

let pglite: Database;

beforeAll(async () => {
  pglite = await openPglite();
}, 300_000);
afterAll(() => pglite.close());

test("every command of cluster.apply has a twin, and the generator draws it", async () => {
  const files = await readdir(join(PROJECT, "sql/30_cluster"));
  const kinds = files.flatMap((file) => /^apply_(\w+)\.sql$/.exec(file)?.[1] ?? []);
  expect(Object.keys(COMMANDS).sort()).toEqual(kinds.sort());
  expect(FORGOTTEN).toEqual([]);
});

test("bodies are hashed as PostgreSQL prints them", async () => {
  const body = { bb: 1, a: [1, 'x"\\\n', null], ccc: { z: true, y: {} }, é: "ü", e: [] };
  const { rows } = await pglite.client.query("select $1::jsonb::text as printed", [
    JSON.stringify(body),
  ]);
  expect(rows).toEqual([{ printed: jsonbText(body) }]);
});

test("sixty seeds on PGlite", { timeout: 600_000 }, async () => {
  const store = await Store.create(1, pglite);
  const counts = await runSeeds(store, { from: 1, count: 60, steps: 250 });
  expect(counts.calls).toBeGreaterThan(12_000);
  expect(counts.refused).toBeGreaterThan(500);
  expect(counts.crashes).toBeGreaterThan(200);
  expect(counts.compacted).toBeGreaterThan(100);
  expect(counts.installed).toBeGreaterThan(20);
});

test("a sample of them on a real server", { timeout: 300_000 }, async () => {
  const scratch = await openScratch("oracle");
  onTestFinished(() => scratch.close());
  const [database] = await openDatabases(scratch, 1);
  if (database === undefined) throw new Error("no database");
  const store = await Store.create(1, database);
  const counts = await runSeeds(store, { from: 1, count: 12, steps: 250 });
  expect(counts.calls).toBeGreaterThan(2000);
});
