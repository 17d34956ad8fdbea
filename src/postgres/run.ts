/** Run a program to its end: with a limit, a way out, and the tail of what it complained about. */
import { execa } from "execa";
import type { Owner } from "./owner.ts";

export interface RunOptions {
  readonly owner?: Owner | undefined;
  readonly limitMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Added to our own environment, without its PG* variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the root folder for another user (ours may be closed to it), else our own. */
  readonly cwd?: string;
  /** What it complains of, or how far it is, as it comes. */
  readonly onStderr?: (text: string) => void;
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
  const folder = cwd ?? (owner === undefined ? undefined : "/");
  const running = execa(path, args, {
    reject: false,
    stdin: "ignore",
    timeout: limitMs,
    killSignal: "SIGKILL",
    extendEnv: false,
    env: { ...serverEnvironment(), LC_ALL: "C", ...env },
    ...(folder === undefined ? {} : { cwd: folder }),
    ...(signal === undefined ? {} : { cancelSignal: signal }),
    ...(owner === undefined ? {} : { uid: owner.uid, gid: owner.gid }),
  });
  if (onStderr !== undefined) {
    running.stderr?.on("data", (chunk: Buffer | string) => onStderr(chunk.toString()));
  }
  const result = await running;
  if (result.isCanceled) signal?.throwIfAborted();
  const stderrTail = (result.stderr ?? "").slice(-TAIL);
  if (result.exitCode === undefined) {
    const why = result.timedOut ? `not within ${limitMs} ms` : (result.originalMessage ?? "died");
    throw new RunFailed(`${path}: ${why}${stderrTail === "" ? "" : `: ${stderrTail}`}`, {
      cause: result.cause,
    });
  }
  return { exitCode: result.exitCode, stdout: result.stdout ?? "", stderrTail };
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
