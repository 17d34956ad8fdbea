/** Runs client programs (psql, pg_dump, pgbench, our own CLI) with a limit, and finds them. */
import type { ChildProcess } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";

export const PROJECT = join(import.meta.dirname, "../..");
export const CLI = join(PROJECT, "src/cli/main.ts");

export interface RunOptions {
  readonly limitMs?: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
}

export interface RunResult {
  /** null when a signal ended it. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

/** Run a program to its end; it never rejects for an exit status, and is killed at `limitMs` (default 30 s). */
export async function run(
  program: string,
  args: readonly string[],
  { limitMs = 30_000, input = "", ...rest }: RunOptions = {},
): Promise<RunResult> {
  const ended = await execa(program, args, {
    ...rest,
    input,
    timeout: limitMs,
    killSignal: "SIGKILL",
    reject: false,
    stripFinalNewline: false,
  });
  const { exitCode = null, stdout, stderr, timedOut, code } = ended;
  if (code === "ENOENT" || code === "EACCES") throw ended;
  return { exitCode, stdout, stderr, timedOut };
}

/** As `run`, but an exit status other than 0 is an error with what the program said. */
export async function mustRun(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { exitCode, stdout, stderr, timedOut } = await run(program, args, options);
  if (exitCode === 0) return stdout;
  const how = timedOut ? "did not end in time" : `exit ${exitCode}`;
  throw new Error(`${program} ${args.join(" ")}: ${how}\n${stderr || stdout}`);
}

/** Our command line, run by this very Node.js. */
export function cli(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return run(process.execPath, [CLI, ...args], options);
}

/** Folders of installed PostgreSQL programs, newest first. */
export function installedFolders(): string[] {
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? readdirSync(debian) : [];
  const sorted = versions.toSorted((a, b) => Number(b) - Number(a));
  const path = (process.env.PATH ?? "").split(":");
  const others = ["/usr/local/pgsql/bin", "/opt/homebrew/bin", "/usr/bin"];
  return [...path, ...sorted.map((version) => join(debian, version, "bin")), ...others];
}

/** Full path of an installed program of PostgreSQL, or undefined. */
export function findProgram(name: string): string | undefined {
  const folder = installedFolders().find((dir) => dir !== "" && existsSync(join(dir, name)));
  return folder === undefined ? undefined : join(folder, name);
}

/** As `findProgram`, but its absence is an error. */
export function needProgram(name: string): string {
  const path = findProgram(name);
  if (path === undefined)
    throw new Error(`${name} is not installed; looked in ${installedFolders()}`);
  return path;
}

/** psql without start-up file, answers as bare values; stops at the first error. */
export function psql(uri: string, sql: string, options: RunOptions = {}): Promise<RunResult> {
  const args = ["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", uri, "-c", sql];
  return run(needProgram("psql"), args, { limitMs: 15_000, ...options });
}

/** How a child process ended: resolves at its exit, never rejects. */
export function exitOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => child.once("exit", (code) => resolve(code)));
}
