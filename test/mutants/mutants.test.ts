/**
 * Every seeded bug is still where it was put, and the ones cheapest to kill are killed here; `npm run mutants`
 * takes all.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { MUTANTS, SIMULATED } from "./mutants.ts";
import { patched } from "./run.ts";

const PROJECT = join(import.meta.dirname, "..", "..");

test("M01 to M40 are all there, each killed somewhere or with a reason why not", () => {
  const numbers = new Set(MUTANTS.map(({ id }) => Number(id.slice(1, 3))));
  expect([...numbers].sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, at) => at + 1));
});

describe("every patch has exactly one place", () => {
  test.each(SIMULATED)("$id", async ({ patches }) => {
    for (const patch of patches) {
      const text = await readFile(join(PROJECT, patch.file), "utf8");
      expect(patched(text, patch)).not.toBe(text);
    }
  });
});
