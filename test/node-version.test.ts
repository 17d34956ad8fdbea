/** The Node.js that runs the tests is the pinned one, whatever the machine has. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PROJECT } from "./support/programs.ts";

const manifest = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8")) as {
  engines: { node: string };
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
};

test("the tests run on the pinned Node.js", () => {
  expect(process.versions.node).toBe(manifest.devDependencies.node);
});

test("the oldest Node.js we promise is 22.18, which strips types", () => {
  expect(manifest.engines.node).toBe(">=22.18");
});

test("every dependency is pinned exactly", () => {
  const all = { ...manifest.dependencies, ...manifest.devDependencies };
  const loose = Object.entries(all).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version));
  expect(loose).toEqual([]);
});
