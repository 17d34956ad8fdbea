/** Rewrites the header chain (`--! Previous:`, `--! Hash:`) of the migrations; only while they are unreleased. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { migrationHash, PACKAGE_ROOT, withHeader } from "../src/db/migration-file.ts";

for (const target of ["control", "data"]) {
  const folder = join(PACKAGE_ROOT, "migrations", target);
  let previous = "-";
  for (const file of (await readdir(folder)).filter((name) => name.endsWith(".sql")).sort()) {
    const path = join(folder, file);
    const text = await readFile(path, "utf8");
    const chained = withHeader(previous, text);
    if (chained !== text) {
      await writeFile(path, chained);
      process.stdout.write(`rehashed migrations/${target}/${file}\n`);
    }
    previous = migrationHash(previous, chained);
  }
}
