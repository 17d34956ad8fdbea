/** One mutant: a copy of the project with the bug in it, simulated until a named invariant is violated. */
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { simulate } from "../simulation/programs.ts";
import type { Patch, SimulatedMutant } from "./mutant.ts";

const PROJECT = join(import.meta.dirname, "..", "..");
/** What a simulation needs of the project. */
const COPIED = [
  "src",
  "test/simulation",
  "test/oracle/twin",
  "scripts/simulate.ts",
  "package.json",
];

export interface Death {
  readonly id: string;
  readonly killed: boolean;
  /** Invariants of the first failing seed that counts; of all seeds when none does. */
  readonly by: readonly string[];
  readonly seeds: number;
  readonly seconds: number;
}

export async function kill(mutant: SimulatedMutant, seeds: number): Promise<Death> {
  const folder = await mkdtemp(join(tmpdir(), "pgr-mutant-"));
  try {
    for (const name of COPIED) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await cp(join(PROJECT, name), join(folder, name), { recursive: true });
    }
    await symlink(join(PROJECT, "node_modules"), join(folder, "node_modules"));
    for (const patch of mutant.patches) await apply(folder, patch);
    const until = ["--until", mutant.caught.join(","), "--no-shrink"];
    const args = ["--seeds", String(seeds), ...(mutant.args ?? []), ...until];
    const { summary } = await simulate(args, folder);
    const last = summary.failed.at(-1)?.invariants ?? [];
    const killed = last.some((invariant) => mutant.caught.includes(invariant));
    const seen = new Set(killed ? last : summary.failed.flatMap(({ invariants }) => invariants));
    const { seconds } = summary;
    return { id: mutant.id, killed, by: [...seen], seeds: summary.seeds, seconds };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The place must be there exactly once: a mutant that changes nothing would survive for nothing. */
export function patched(text: string, { file, find, replace }: Patch): string {
  const parts = text.split(find);
  if (parts.length !== 2) {
    throw new Error(`${file}: found ${parts.length - 1} times, expected once: ${find}`);
  }
  return parts.join(replace);
}

async function apply(folder: string, patch: Patch): Promise<void> {
  const path = join(folder, patch.file);
  await writeFile(path, patched(await readFile(path, "utf8"), patch));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
