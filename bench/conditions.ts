/** Under what conditions a figure was measured: printed with it, and stored beside it. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { PROJECT, run } from "../test/support/programs.ts";
import { value } from "../test/support/sql.ts";

export interface Conditions {
  readonly at: string;
  readonly commit: string;
  readonly package: string;
  readonly node: string;
  readonly postgres: string;
  readonly kernel: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly loadBefore: number;
}

/** Look at the machine and at the server behind `uri`. */
export async function conditionsOf(uri: string): Promise<Conditions> {
  const manifest = JSON.parse(await readFile(join(PROJECT, "package.json"), "utf8"));
  const head = await run("git", ["-C", PROJECT, "describe", "--always", "--dirty"]).catch(
    () => undefined, // a package without its repository
  );
  return {
    at: new Date().toISOString(),
    commit: head?.stdout.trim() || "unknown",
    package: manifest.version,
    node: process.version,
    postgres: await value(uri, "show server_version"),
    kernel: release(),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    loadBefore: loadavg()[0] ?? 0,
  };
}

export function describeConditions(c: Conditions): string {
  return [
    `${c.cores} cores (${c.cpu}), ${c.memoryGb} GB, Linux ${c.kernel}, load ${c.loadBefore.toFixed(2)}`,
    `PostgreSQL ${c.postgres}, Node.js ${c.node}, pg-replica ${c.package} (${c.commit})`,
  ].join("\n");
}

/** Write a result, by default into bench/results; returns the path. */
export async function writeResult(
  name: string,
  result: unknown,
  file: string | undefined,
): Promise<string> {
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, "-");
  const path = file ?? join(PROJECT, "bench/results", `${name}-${stamp}.json`);
  await mkdir(dirname(path), { recursive: true });
  const text = JSON.stringify(result, (_, one) => (typeof one === "bigint" ? `${one}` : one), 2);
  await writeFile(path, `${text}\n`);
  return path;
}

/** A whole number of at least 1 from the command line. */
export function positive(option: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1) return number;
  throw new Error(`${option}: ${text}: expected a whole number, 1 or more`);
}
