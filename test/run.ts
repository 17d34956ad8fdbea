/**
 * Runs the test suite part by part: `node test/run.ts [--all] [PART…]`. Parts are the folders of test/, fast ones
 * first and in memory, then each file of test/cluster and test/faults alone on the machine and its disk; `--all` adds
 * test/long, and has the other parts do all they can (`fully`). Prints what each part took.
 */
import { spawn } from "node:child_process";
import { existsSync, type StatsFs } from "node:fs";
import { chmod, mkdtemp, readdir, readFile, rm, statfs } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { removeOrphanSegments } from "./support/shared-memory.ts";

const ROOT = join(import.meta.dirname, "..");
/** Part of the suite that hangs longer than this is ended, and failed. */
const PART_LIMIT_MS = 15 * 60_000;
/** So many lines from either end of a failed test's message are repeated at the end, each so long. */
const MESSAGE_LINES = 14;
const MESSAGE_COLUMNS = 300;
/** In this order, then the other folders by name. */
const FIRST = ["core", "coordinator", "config", "replication", "postgres", "sql", "install"];

/** Whole clusters: each file alone on the machine, and what they write on a real disk. */
const ALONE = ["cluster", "faults", "long"];
const MEMORY = "/dev/shm";
const MEMORY_NEEDED = 4 * 1024 ** 3;

interface Part {
  readonly name: string;
  readonly files: readonly string[];
}

interface Outcome {
  readonly part: Part;
  readonly seconds: number;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly string[];
  /** What each failed test said, for the end of a long output. */
  readonly failures: readonly string[];
}

/** Test files below a folder of test/, as paths from the project's folder. */
async function testFiles(folder: string): Promise<string[]> {
  const names = await readdir(join(ROOT, "test", folder), { recursive: true }).catch(() => []);
  return names
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => join("test", folder, name))
    .sort();
}

async function findParts(all: boolean): Promise<Part[]> {
  const entries = await readdir(join(ROOT, "test"), { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const place = (name: string) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  const fast = folders
    .filter((name) => !ALONE.includes(name))
    .sort((a, b) => place(a) - place(b) || a.localeCompare(b));
  const parts = [{ name: "tidy", files: (await testFiles(".")).filter(isTopLevel) }];
  for (const name of fast) parts.push({ name, files: await testFiles(name) });
  for (const folder of all ? ALONE : ALONE.slice(0, -1)) {
    for (const file of await testFiles(folder)) {
      const name = file.replace(/^test\//, "").replace(/\.test\.ts$/, "");
      parts.push({ name, files: [file] });
    }
  }
  return parts.filter(({ files }) => files.length > 0);
}

function isTopLevel(path: string): boolean {
  return dirname(path) === "test";
}

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    /** Of a file that cannot be loaded. */
    readonly message?: string;
    readonly assertionResults: readonly Assertion[];
  }[];
}

interface Assertion {
  readonly status: string;
  readonly fullName: string;
  readonly failureMessages?: readonly string[];
}

async function runPart(part: Part, reportFile: string): Promise<Outcome> {
  process.stdout.write(`\n── ${part.name}\n`);
  const [started, since] = [performance.now(), new Date()];
  await rm(reportFile, { force: true });
  const args = ["--reporter=dot", "--reporter=json", `--outputFile.json=${reportFile}`];
  const place = ALONE.includes(part.name.split("/")[0] ?? "") ? undefined : await openMemory();
  const clean = await vitest(["run", ...args, ...part.files], place);
  if (place !== undefined) await rm(place, { recursive: true, force: true });
  await removeOrphanSegments(since);
  const seconds = (performance.now() - started) / 1000;
  const report = await readReport(reportFile);
  const results = report?.testResults ?? [];
  const asserted = results.flatMap(({ assertionResults }) => assertionResults);
  // A file that cannot be loaded, or an error outside any test, fails no test: it counts as one.
  const broken = results.filter(
    ({ status, assertionResults }) =>
      status === "failed" && assertionResults.every((one) => one.status !== "failed"),
  );
  const failed = (report?.numFailedTests ?? 0) + broken.length;
  const outcome = {
    part,
    seconds,
    passed: report?.numPassedTests ?? 0,
    failed: failed === 0 && !clean ? 1 : failed,
    skipped: asserted
      .filter(({ status }) => !["passed", "failed"].includes(status))
      .map(({ fullName }) => fullName),
    failures: [
      ...asserted
        .filter(({ status }) => status === "failed")
        .map(({ fullName, failureMessages = [] }) => quoted(fullName, failureMessages.join("\n"))),
      ...broken.map(({ name, message = "" }) => quoted(name, message)),
    ],
  };
  process.stdout.write(`   ${describe(outcome)} in ${seconds.toFixed(1)} s\n`);
  return outcome;
}

function quoted(name: string, message: string): string {
  const said = stripVTControlCharacters(message).split("\n");
  const lines = said.map((line) => line.slice(0, MESSAGE_COLUMNS));
  const left = lines.length - 2 * MESSAGE_LINES;
  if (left > 0) lines.splice(MESSAGE_LINES, left, `(${left} lines)`);
  return [name, ...lines].join("\n  ");
}

async function readReport(path: string): Promise<Report | undefined> {
  const text = await readFile(path, "utf8").catch(() => undefined); // vitest did not get so far
  return text === undefined ? undefined : (JSON.parse(text) as Report);
}

/**
 * A folder for temporary files where nothing reaches a disk: a test that makes databases by the dozen spends two thirds
 * of its time in ext4, which looks for inodes that were not freed of late. Undefined where there is no room for it.
 */
async function openMemory(): Promise<string | undefined> {
  const { bavail = 0, bsize = 0 } = await statfs(MEMORY).catch(() => ({}) as Partial<StatsFs>);
  if (bavail * bsize < MEMORY_NEEDED) return undefined;
  const place = await mkdtemp(join(MEMORY, "pgr-"));
  // As /tmp: the servers' user passes through.
  await chmod(place, 0o1777);
  return place;
}

/** Whether it ended well. The whole process group ends with it, and with us. */
function vitest(args: readonly string[], temporary = tmpdir()): Promise<boolean> {
  const manifest = createRequire(import.meta.url).resolve("vitest/package.json");
  const program = join(dirname(manifest), "vitest.mjs");
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], {
      cwd: ROOT,
      stdio: "inherit",
      env: { ...process.env, TMPDIR: temporary },
    });
    const timer = setTimeout(() => {
      process.stdout.write(`   not within ${PART_LIMIT_MS / 60_000} minutes: ended\n`);
      child.kill("SIGKILL");
    }, PART_LIMIT_MS);
    child.once("error", reject);
    child.once("exit", (code) => {
      clearTimeout(timer);
      resolve(code === 0);
    });
  });
}

function describe({ passed, failed, skipped }: Pick<Outcome, "passed" | "failed" | "skipped">) {
  return `${passed} passed, ${failed} failed, ${skipped.length} skipped`;
}

function printTable(outcomes: readonly Outcome[]): void {
  const width = Math.max(...outcomes.map(({ part }) => part.name.length));
  process.stdout.write("\n");
  for (const outcome of outcomes) {
    const time = `${outcome.seconds.toFixed(1)} s`.padStart(8);
    process.stdout.write(`${outcome.part.name.padEnd(width)} ${time}  ${describe(outcome)}\n`);
  }
  const skipped = outcomes.flatMap((outcome) => outcome.skipped);
  if (skipped.length > 0) process.stdout.write(`\nskipped:\n  ${skipped.join("\n  ")}\n`);
}

const words = process.argv.slice(2);
const wanted = words.filter((word) => !word.startsWith("--"));
if (words.includes("--all")) process.env.PGR_TEST_ALL = "1";
const parts = (await findParts(words.includes("--all"))).filter(
  ({ name }) =>
    wanted.length === 0 || wanted.some((word) => name === word || name.startsWith(`${word}/`)),
);
if (parts.length === 0) throw new Error(`no part of the suite is called ${wanted.join(" or ")}`);
const folder = await mkdtemp(join(tmpdir(), "pgr-run-"));
/** Written by test/support/kept-logs.ts. */
const eventsFile = join(folder, "events.txt");
process.env.PGR_TEST_FAILURES = eventsFile;
const outcomes: Outcome[] = [];
let events = "";
try {
  for (const part of parts) outcomes.push(await runPart(part, join(folder, "report.json")));
  if (existsSync(eventsFile)) events = await readFile(eventsFile, "utf8");
} finally {
  await rm(folder, { recursive: true, force: true });
}
for (const { part, failures } of outcomes) {
  for (const failure of failures) process.stdout.write(`\nFAILED ${part.name}: ${failure}\n`);
}
if (events !== "") process.stdout.write(`\n${events}`);
printTable(outcomes);
const total = {
  passed: outcomes.reduce((sum, { passed }) => sum + passed, 0),
  failed: outcomes.reduce((sum, { failed }) => sum + failed, 0),
  skipped: outcomes.flatMap(({ skipped }) => skipped),
};
const seconds = outcomes.reduce((sum, outcome) => sum + outcome.seconds, 0);
process.stdout.write(`\n${Math.round(seconds)} s in all\n${describe(total)}\n`);
process.exitCode = total.failed === 0 ? 0 : 1;
