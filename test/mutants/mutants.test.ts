/**
 * Every seeded bug is still where it was put, and killed by the killer it names: some of each kind on every run, all of
 * them when everything is run.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fully } from "../support/fully.ts";
import { ledger } from "./ledger.ts";
import { LIVE, MUTANTS } from "./mutants.ts";
import { kill, PROJECT, patched } from "./run.ts";

const SEEDS = 200;

test("M01 to M88 are all there, each with its killer or with a reason why it cannot be", () => {
  const numbers = new Set(MUTANTS.map(({ id }) => Number(id.slice(1, 3))));
  expect([...numbers].sort((a, b) => a - b)).toEqual(Array.from({ length: 88 }, (_, at) => at + 1));
  expect(new Set(MUTANTS.map(({ id }) => id)).size).toBe(MUTANTS.length);
});

test("docs/mutants.md is their ledger", async () => {
  expect(await readFile(join(PROJECT, "docs/mutants.md"), "utf8")).toBe(ledger());
});

describe("every patch has exactly one place", () => {
  test.each(LIVE)("$id", async ({ patches }) => {
    expect(patches.length).toBeGreaterThan(0);
    for (const patch of patches) {
      const text = await readFile(join(PROJECT, patch.file), "utf8");
      expect(patched(text, patch)).not.toBe(text);
    }
  });
});

describe("killed", () => {
  const now = LIVE.filter(({ quick }) => fully || quick === true);
  test.each(now)("$id: $bug", { timeout: 300_000 }, async (mutant) => {
    const { outcome, because } = await kill(mutant, SEEDS);
    expect(outcome, because).toBe("killed");
  });
});
