/** Builds dist/: JavaScript and types of src/, because no types are stripped under node_modules. */
import { chmod, copyFile, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { execa } from "execa";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");

async function makeExecutable(path: string): Promise<void> {
  const text = await readFile(path, "utf8");
  await writeFile(path, `#!/usr/bin/env node\n${text.replace(/^#!.*\n/, "")}`);
  await chmod(path, 0o755);
}

await rm(dist, { recursive: true, force: true });
const manifest = createRequire(import.meta.url).resolve("typescript/package.json");
const { bin } = JSON.parse(await readFile(manifest, "utf8")) as { bin: { tsc: string } };
const compiler = join(dirname(manifest), bin.tsc);
const { exitCode = 1 } = await execa(
  process.execPath,
  [compiler, "--project", "tsconfig.build.json"],
  { cwd: root, stdio: "inherit", reject: false },
);
if (exitCode !== 0) process.exit(exitCode);
await makeExecutable(join(dist, "cli", "main.js"));
await copyFile(join(root, "src", "postgres", "deadman.sh"), join(dist, "postgres", "deadman.sh"));
