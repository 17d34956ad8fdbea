/** pg_rewind: arguments in, named outcome out. It is asked first, without touching anything, and believed only then. */
import { libpqTls, type TlsFiles } from "../config/tls.ts";
import { type Lsn, parseLsn } from "../core/ids.ts";
import type { Binaries } from "./binaries.ts";
import { isReachable } from "./files.ts";
import type { Owner } from "./owner.ts";
import { RunFailed, type RunResult, runProgram } from "./run.ts";

export interface RewindOptions {
  readonly binaries: Pick<Binaries, "program">;
  /** Cleanly stopped; also the working directory, so that a fence finds what is left of it. */
  readonly dataDir: string;
  readonly owner: Owner | undefined;
  readonly source: { readonly host: string; readonly port: number; readonly user: string };
  /** A libpq password file: no secret on a command line or in the environment. */
  readonly passFile: string;
  /** Paths, read by libpq; without them its own default. */
  readonly tls?: TlsFiles | undefined;
  readonly signal: AbortSignal;
  readonly onProgress?: ((done: bigint, total: bigint) => void) | undefined;
}

/** What it would do. */
export type RewindPlan =
  | { readonly kind: "nothing" }
  | {
      readonly kind: "fork";
      /** Where the histories part, and on which timeline. */
      readonly forkLsn: Lsn;
      readonly forkTimeline: number;
      /** The last checkpoint both have. */
      readonly checkpointLsn: Lsn;
      readonly checkpointTimeline: number;
    }
  | { readonly kind: "refused"; readonly why: string };

/** It failed, or was ended: what it has touched is neither the old data nor the new (H04). */
export class RewindFailed extends Error {
  override readonly name = "RewindFailed";
}

const LIMIT_MS = 24 * 3600_000;

/** Not part of every installation: the embedded one has none. */
export function hasRewind(binaries: Pick<Binaries, "program">): Promise<boolean> {
  return isReachable(binaries.program("pg_rewind"));
}

/** Ask what it would do; changes nothing. */
export async function planRewind(options: RewindOptions): Promise<RewindPlan> {
  const { exitCode, stdout, stderrTail } = await runRewind(options, ["--dry-run"]);
  const text = `${stdout}\n${stderrTail}`;
  if (exitCode !== 0) return { kind: "refused", why: complaintIn(text) };
  if (/no rewind required/.test(text)) return { kind: "nothing" };
  const fork = /servers diverged at WAL location (\S+) on timeline (\d+)/.exec(text);
  const common = /rewinding from last common checkpoint at (\S+) on timeline (\d+)/.exec(text);
  if (fork === null || common === null)
    return { kind: "refused", why: "it did not say where the fork is" };
  return {
    kind: "fork",
    forkLsn: parseLsn(fork[1] ?? ""),
    forkTimeline: Number(fork[2]),
    checkpointLsn: parseLsn(common[1] ?? ""),
    checkpointTimeline: Number(common[2]),
  };
}

/** Do it, and force it to disk. Throws `RewindFailed`, or the signal's reason. */
export async function rewind(options: RewindOptions): Promise<void> {
  const { onProgress } = options;
  const { exitCode, stdout, stderrTail } = await runRewind(options, ["--progress"], (text) => {
    const progress = lastProgress(text);
    if (progress !== undefined) onProgress?.(progress.done, progress.total);
  });
  if (exitCode !== 0) {
    throw new RewindFailed(
      `pg_rewind: exit ${exitCode}: ${complaintIn(`${stdout}\n${stderrTail}`)}`,
    );
  }
}

/** `1234/5678 kB (21%) copied`, the last of them; in bytes. Pure. */
export function lastProgress(text: string): { done: bigint; total: bigint } | undefined {
  const last = [...text.matchAll(/(\d+)\/(\d+) kB \(\d+%\) copied/g)].at(-1);
  if (last === undefined) return undefined;
  return { done: BigInt(last[1] ?? 0) * 1024n, total: BigInt(last[2] ?? 0) * 1024n };
}

async function runRewind(
  { binaries, dataDir, owner, source, passFile, tls, signal }: RewindOptions,
  more: readonly string[],
  onStderr?: (text: string) => void,
): Promise<RunResult> {
  const words = {
    ...source,
    ...libpqTls(tls),
    dbname: "postgres",
    application_name: "pgreplica_rewind",
    connect_timeout: 10,
    keepalives_idle: 5,
    tcp_user_timeout: 30_000,
  };
  const conninfo = Object.entries(words)
    .map(([name, value]) => `${name}='${String(value).replaceAll(/['\\]/g, "\\$&")}'`)
    .join(" ");
  // Never by itself into single-user mode: a crashed standby is recovered by a server, and its signal file stays (H37).
  const args = [
    "--target-pgdata",
    dataDir,
    "--source-server",
    conninfo,
    "--no-ensure-shutdown",
    ...more,
  ];
  try {
    return await runProgram(binaries.program("pg_rewind"), args, {
      owner,
      limitMs: LIMIT_MS,
      signal,
      cwd: dataDir,
      env: { PGPASSFILE: passFile, PGOPTIONS: TIMELESS },
      ...(onStderr === undefined ? {} : { onStderr }),
    });
  } catch (error) {
    if (error instanceof RunFailed) throw new RewindFailed(error.message, { cause: error });
    throw error;
  }
}

/** A role's or database's own limits would end its queries half way. */
const TIMELESS = [
  "statement_timeout",
  "lock_timeout",
  "idle_in_transaction_session_timeout",
  "idle_session_timeout",
]
  .map((name) => `-c ${name}=0`)
  .join(" ");

/** The sentence that says why, among its progress. */
function complaintIn(text: string): string {
  const lines = text.split(/[\r\n]+/).filter((line) => /^pg_rewind: (error|fatal):/.test(line));
  const said = lines.map((line) => line.replace(/^pg_rewind: (error|fatal): /, "")).join("; ");
  return said === ""
    ? (text
        .trim()
        .split(/[\r\n]+/)
        .at(-1) ?? "it said nothing")
    : said;
}
