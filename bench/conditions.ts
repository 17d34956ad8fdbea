/** Under what conditions a figure was measured: printed with it, and stored beside it. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { PROJECT, run } from "../test/support/programs.ts";
import { value } from "../test/support/sql.ts";
import { median } from "./stats.ts";

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
  /** Medians: one byte to another process and back, in µs, and starting a program that does nothing, in ms. */
  readonly echoUs: number;
  readonly startMs: number;
}

/** Look at the machine and at the server behind `uri`, where one takes part. */
export async function conditionsOf(uri?: string): Promise<Conditions> {
  const manifest = JSON.parse(await readFile(join(PROJECT, "package.json"), "utf8"));
  const head = await run("git", ["-C", PROJECT, "describe", "--always", "--dirty"]).catch(
    () => undefined, // a package without its repository
  );
  return {
    at: new Date().toISOString(),
    commit: head?.stdout.trim() || "unknown",
    package: manifest.version,
    node: process.version,
    postgres: uri === undefined ? "none" : await value(uri, "show server_version"),
    kernel: release(),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    loadBefore: loadavg()[0] ?? 0,
    echoUs: 1000 * median(await echoes(500)),
    startMs: median(await starts(30)),
  };
}

/** Shared machines differ by their switches between processes far more than by their arithmetic. */
async function echoes(n: number): Promise<number[]> {
  const cat = spawn("cat", { stdio: ["pipe", "pipe", "ignore"] });
  const taken: number[] = [];
  for (let i = 0; i < n; i += 1) {
    const began = performance.now();
    cat.stdin.write(".");
    await once(cat.stdout, "data");
    taken.push(performance.now() - began);
  }
  cat.stdin.end();
  await once(cat, "exit");
  return taken;
}

async function starts(n: number): Promise<number[]> {
  const taken: number[] = [];
  for (let i = 0; i < n; i += 1) {
    const began = performance.now();
    await once(spawn("true", { stdio: "ignore" }), "exit");
    taken.push(performance.now() - began);
  }
  return taken;
}

export function describeConditions(c: Conditions): string {
  return [
    `${c.cores} cores (${c.cpu}), ${c.memoryGb} GB, Linux ${c.kernel}, load ${c.loadBefore.toFixed(2)}`,
    `an echo between two processes ${c.echoUs.toFixed(0)} µs, a program started in ${c.startMs.toFixed(1)} ms`,
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
