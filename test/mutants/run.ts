/** One mutant: a copy of the project with the bug in it, and its killer run there and where the bug is not. */
import { spawn } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { simulate } from "../simulation/programs.ts";
import { type Killer, type LiveMutant, nameOf, type Patch } from "./mutant.ts";
import { LIVE } from "./mutants.ts";

export const PROJECT = join(import.meta.dirname, "..", "..");
/** What a killer needs of the project. */
const COPIED = ["src", "test", "scripts", "sql", "migrations", "package.json", "vitest.config.ts"];
/** A mutant that hangs has not been told from one that is right. */
const LIMIT_MS = 240_000;

export interface Death {
  readonly id: string;
  readonly bug: string;
  readonly rule: string;
  readonly killer: string;
  readonly seconds: number;
  readonly outcome: "killed" | "survived";
  /** What failed with the bug in place, or why this is no kill. */
  readonly because: string;
}

/** What a killer found; `at` names the seed that shows it again, `passed` the tests that held. */
interface Finding {
  readonly failed: boolean;
  readonly because: string;
  readonly at?: number;
  readonly passed?: readonly string[];
}

/** Run its killer against it; `most` seeds of those that go by seeds. */
export async function kill(mutant: LiveMutant, most: number): Promise<Death> {
  const started = performance.now();
  const { id, bug, rule, killer } = mutant;
  const end = (outcome: Death["outcome"], because: string): Death => {
    const seconds = Math.round((performance.now() - started) / 100) / 10;
    return { id, bug, rule, killer: nameOf(killer), seconds, outcome, because };
  };
  // A seed is known only once it has killed: then it must hold where the bug is not.
  const before = killer.by === "test" ? await unsound(killer) : undefined;
  if (before !== undefined) return end("survived", `the killer fails without it: ${before}`);
  const found = await inCopy(mutant, (folder) => run(killer, folder, most));
  if (!found.failed) return end("survived", found.because);
  const after = killer.by === "test" ? undefined : await unsound(killer, found.at);
  if (after !== undefined) return end("survived", `the killer fails without it: ${after}`);
  return end("killed", found.because);
}

/** Killers as things are; each is asked once for all its mutants. */
const asked = new Map<string, Promise<Finding>>();
/** Seeds of the oracle are asked so many at a time: most of its time is PGlite's start. */
const ORACLE_SEEDS = 8;

/** Why this killer proves nothing: it fails, or does not run, where there is no bug. */
async function unsound(killer: Killer, at?: number): Promise<string | undefined> {
  if (killer.by === "test") {
    const { failed, because, passed = [] } = await askOnce({ by: "test", ...wholeOf(killer.file) });
    if (failed) return because;
    const pattern = new RegExp(killer.name ?? "");
    return passed.some((title) => pattern.test(title)) ? undefined : "no test of that name passes";
  }
  const from = at ?? 1;
  const first = from - ((from - 1) % ORACLE_SEEDS);
  const { failed, because } =
    killer.by === "oracle"
      ? await askOnce({ by: "oracle", from: first }, ORACLE_SEEDS)
      : await askOnce({ ...killer, from });
  return failed ? because : undefined;
}

/** What all mutants together need of a test file. */
function wholeOf(file: string): { readonly file: string; readonly name?: string } {
  const killers = LIVE.map(({ killer }) => killer).filter((one) => one.by === "test");
  const names = killers.filter((one) => one.file === file).map(({ name }) => name);
  return names.includes(undefined) ? { file } : { file, name: [...new Set(names)].join("|") };
}

function askOnce(killer: Killer, most = 1): Promise<Finding> {
  const key = JSON.stringify(killer);
  const known = asked.get(key) ?? run(killer, PROJECT, most);
  asked.set(key, known);
  return known;
}

async function inCopy<T>(
  { patches }: LiveMutant,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "pgr-mutant-"));
  try {
    // Servers run as another user, and read from here.
    await chmod(folder, 0o755);
    for (const name of COPIED) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await cp(join(PROJECT, name), join(folder, name), { recursive: true });
    }
    await symlink(join(PROJECT, "node_modules"), join(folder, "node_modules"));
    for (const patch of patches) {
      const path = join(folder, patch.file);
      await writeFile(path, patched(await readFile(path, "utf8"), patch));
    }
    return await work(folder);
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

async function run(killer: Killer, folder: string, most: number): Promise<Finding> {
  switch (killer.by) {
    case "test":
      return runTest(killer, folder);
    case "seeds":
      return runSeeds(killer, folder, most);
    case "corpus":
      return runSeeds(await replayed(killer), folder, most);
    case "oracle":
      return runOracle(killer, folder, most);
  }
}

async function replayed({
  name,
  from,
  caught,
}: Killer & { by: "corpus" }): Promise<Killer & { by: "seeds" }> {
  const path = join(PROJECT, "test/simulation/corpus", `${name}.json`);
  const { scenario } = JSON.parse(await readFile(path, "utf8"));
  return {
    by: "seeds",
    from,
    caught,
    args: ["--scenario", JSON.stringify(scenario)],
  };
}

async function runSeeds(
  { from, caught, args = [] }: Killer & { by: "seeds" },
  folder: string,
  most: number,
): Promise<Finding> {
  const count = ["--from", String(from), "--seeds", String(most)];
  const until = ["--until", caught.join(","), "--no-shrink"];
  const { summary } = await simulate([...count, ...args, ...until], folder);
  const last = summary.failed.at(-1);
  const broken = last?.invariants ?? [];
  const failed = broken.some((one) => caught.includes(one));
  if (failed)
    return { failed, because: `${broken.join(" ")}, seed ${last?.seed}`, at: last?.seed ?? from };
  const others = new Set(summary.failed.flatMap(({ invariants }) => invariants));
  const but = others.size === 0 ? "" : `, though ${[...others].join(" ")} was violated`;
  return { failed, because: `${summary.seeds} seeds hold${but}` };
}

async function runOracle(
  { from }: Killer & { by: "oracle" },
  folder: string,
  most: number,
): Promise<Finding> {
  const args = ["test/oracle/main.ts", "--from", String(from), "--seeds", String(most)];
  const { code, output } = await ended(folder, args);
  if (code === 0) return { failed: false, because: `${most} seeds of the oracle agree` };
  const [, seed, what] = /\bseed (\d+): (.*)\n\s+SQL:/.exec(output) ?? [];
  // Anything but a difference is no kill: it may be the mutant's own mistake.
  if (seed === undefined) return { failed: false, because: `no difference: ${tail(output)}` };
  return { failed: true, because: `differs: ${what}, seed ${seed}`, at: Number(seed) };
}

interface Report {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly title: string;
      readonly fullName: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

async function runTest({ file, name }: Killer & { by: "test" }, folder: string): Promise<Finding> {
  const out = await mkdtemp(join(tmpdir(), "pgr-killer-"));
  const report = join(out, "report.json");
  try {
    const only = name === undefined ? [] : ["-t", name];
    // The first failure will do.
    const { output } = await ended(folder, [
      join("node_modules", "vitest", "vitest.mjs"),
      ...["run", file, ...only, "--bail=1", "--reporter=json", `--outputFile=${report}`],
    ]);
    const text = await readFile(report, "utf8").catch(() => undefined); // vitest did not get so far
    if (text === undefined) return { failed: false, because: `no result: ${tail(output)}` };
    const { testResults, numPassedTests } = JSON.parse(text) as Report;
    const results = testResults.flatMap(({ assertionResults }) => assertionResults);
    const failure = results.find(({ status }) => status === "failed");
    if (failure !== undefined) {
      const [message = ""] = failure.failureMessages ?? [];
      return { failed: true, because: `"${failure.title}": ${firstLine(message)}` };
    }
    const setUp = testResults.find(
      (one) => one.status === "failed" && one.assertionResults.length > 0,
    );
    if (setUp !== undefined && numPassedTests === 0) {
      return { failed: true, because: `before its first test: ${firstLine(setUp.message ?? "")}` };
    }
    // A file that cannot even be loaded, or a name that fits no test, has judged nothing.
    if (numPassedTests === 0)
      throw new Error(`${file} ${name ?? ""}: no test ran\n${tail(output)}`);
    const passed = results
      .filter(({ status }) => status === "passed")
      .map(({ fullName }) => fullName);
    return { failed: false, because: `${numPassedTests} tests pass`, passed };
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

function ended(
  cwd: string,
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly output: string }> {
  return new Promise((resolve, reject) => {
    // Of our own names none at all: the command line refuses one that is no setting.
    const mine = Object.entries(process.env).filter(
      ([key]) => !/^VITEST|^PG_REPLICA_TEST/.test(key),
    );
    const env = { ...Object.fromEntries(mine), NO_COLOR: "1" };
    const child = spawn(process.execPath, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    const timer = setTimeout(() => child.kill("SIGTERM"), LIMIT_MS);
    let output = "";
    const take = (text: string) => {
      output += text;
    };
    child.stdout.setEncoding("utf8").on("data", take);
    child.stderr.setEncoding("utf8").on("data", take);
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ code, output });
    });
  });
}

const tail = (output: string) => output.trim().slice(-600);
const firstLine = (text: string) => text.split("\n")[0]?.slice(0, 160) ?? "";
