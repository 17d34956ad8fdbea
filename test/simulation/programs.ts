/**
 * Runs scripts/simulate.ts in processes of its own: the simulator takes real time away, which a test runner
 * needs.
 */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROJECT = join(import.meta.dirname, "..", "..");

export interface Summary {
  readonly seeds: number;
  readonly failed: readonly { readonly seed: number; readonly invariants: readonly string[] }[];
  readonly seconds: number;
  readonly steps: number;
  readonly acknowledged: number;
  readonly committed: number;
  readonly promotions: number;
  readonly leaders: number;
  readonly snapshots: number;
  readonly faults: number;
  readonly primaryFaults: number;
  readonly changes: Readonly<Record<string, number>>;
  readonly hashes: Readonly<Record<string, string>>;
}

export interface Ran {
  readonly summary: Summary;
  readonly output: string;
}

/** `from` is where the program stands: this project, or a copy of it with a bug in it. */
export async function simulate(args: readonly string[], from = PROJECT): Promise<Ran> {
  const folder = await mkdtemp(join(tmpdir(), "pgr-sim-"));
  const file = join(folder, "summary.json");
  try {
    const output = await ended([join(from, "scripts", "simulate.ts"), ...args, "--json", file]);
    const text = await readFile(file, "utf8").catch(() => undefined);
    if (text === undefined) throw new Error(`the simulation did not end:\n${output.slice(-4000)}`);
    return { summary: JSON.parse(text) as Summary, output };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function ended(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const take = (text: string) => {
      output += text;
    };
    child.stdout.setEncoding("utf8").on("data", take);
    child.stderr.setEncoding("utf8").on("data", take);
    child.once("error", reject);
    child.once("close", () => resolve(output));
  });
}
