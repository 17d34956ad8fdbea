/** Run a program to its end: with a limit, a way out, and the tail of what it complained about. */
import { type SpawnOptions, spawn } from "node:child_process";
import type { Owner } from "./owner.ts";
import { NICE, putNice } from "./priority.ts";

export interface RunOptions {
  readonly owner?: Owner | undefined;
  readonly limitMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Added to our own environment, without its PG* variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the root folder for another user (ours may be closed to it), else our own. */
  readonly cwd?: string;
  /** What it complains of, or how far it is, as it comes. */
  readonly onStderr?: ((text: string) => void) | undefined;
}

export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderrTail: string;
}

/**
 * The program could not be run, or not to its end; a program that ends with an exit code is no
 * error.
 */
export class RunFailed extends Error {
  override readonly name = "RunFailed";
}

const TAIL = 4000;

/**
 * Run `path` with `args`; messages in English. A non-zero exit is the caller's to judge.
 * Throws `RunFailed` when it cannot be started, dies of a signal, or outlasts `limitMs`.
 */
export async function runProgram(
  path: string,
  args: readonly string[],
  { owner, limitMs, signal, env = {}, cwd, onStderr }: RunOptions,
): Promise<RunResult> {
  signal?.throwIfAborted();
  const folder = cwd ?? (owner === undefined ? undefined : "/");
  const { exitCode, died, stdout, stderr } = await execute(path, args, {
    timeout: limitMs,
    killSignal: "SIGKILL",
    env: { ...serverEnvironment(), LC_ALL: "C", ...env },
    ...(folder === undefined ? {} : { cwd: folder }),
    ...(signal === undefined ? {} : { signal }),
    ...(owner === undefined ? {} : { uid: owner.uid, gid: owner.gid }),
    onStderr,
  });
  if (died === undefined) return { exitCode, stdout: stdout.trimEnd(), stderrTail: tail(stderr) };
  signal?.throwIfAborted();
  const why = died.late ? `not within ${limitMs} ms` : died.why;
  const last = tail(stderr);
  throw new RunFailed(`${path}: ${why}${last === "" ? "" : `: ${last}`}`, { cause: died.cause });
}

function tail(text: string): string {
  return text.trimEnd().slice(-TAIL);
}

interface Ended {
  readonly exitCode: number;
  /** It was not started, or ended by a signal: of ours when it was late. */
  readonly died: { why: string; late: boolean; cause?: Error } | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Resolves when the program has ended and its output is read. */
function execute(
  path: string,
  args: readonly string[],
  { onStderr, ...options }: SpawnOptions & Pick<RunOptions, "onStderr">,
): Promise<Ended> {
  return new Promise((resolve) => {
    const said = { stdout: "", stderr: "" };
    const child = spawn(path, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    if (child.pid !== undefined) putNice(child.pid, NICE.others);
    for (const name of ["stdout", "stderr"] as const) {
      child[name]?.setEncoding("utf8").on("data", (text: string) => {
        said[name] += text;
        if (name === "stderr") onStderr?.(text);
      });
    }
    child.once("error", (cause) => {
      // One that runs is being killed: how it ends is told by its end.
      if (child.pid !== undefined) return;
      resolve({ ...said, exitCode: -1, died: { why: cause.message, late: false, cause } });
    });
    child.once("close", (code, by) => {
      const died = code === null ? { why: `ended by ${by}`, late: child.killed } : undefined;
      resolve({ ...said, exitCode: code ?? -1, died });
    });
  });
}

/**
 * Our environment without PG* variables: a stray PGPORT or PGSSLMODE must not configure a server.
 */
export function serverEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !entry[0].startsWith("PG"),
  );
  return Object.fromEntries(kept);
}
