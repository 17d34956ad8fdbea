/**
 * Long work as jobs of the control store's queue: durable, visible there, tried again with growing pauses.
 *
 * A job runs in a process of its own: it reads and writes for seconds to hours, and there it neither stalls the
 * worker's event loop (H63) nor leaves its buffers, or the queue's library, in the worker's memory. That process is
 * there only while there is a job, and ends with the worker. What it leaves half done is marked on disk (H04). Nothing
 * that a failover waits for is a job.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { LocalOptions } from "../db/connect.ts";
import type { Log } from "../log/logger.ts";
import type { Binaries } from "../postgres/binaries.ts";
import { RewindFailed, type RewindOptions } from "../postgres/pg-rewind.ts";
import { type BaseBackup, BaseBackupFailed } from "../replication/base-backup.ts";
import type { CopyWork, News, Order, Work } from "./orders.ts";

export interface LongWorkOptions {
  /** How the process reaches the own control store. */
  readonly store: LocalOptions;
  readonly binaries: Pick<Binaries, "program">;
  readonly log: Log;
}

interface Run {
  readonly signal: AbortSignal;
  readonly onProgress?: ((done: bigint, total: bigint | undefined) => void) | undefined;
  /** It failed, and will be tried again. */
  readonly onRetry?: ((why: string) => void) | undefined;
}

const MAIN = join(
  import.meta.dirname,
  `main${import.meta.filename.endsWith(".ts") ? ".ts" : ".js"}`,
);

/** What the agent hands over; each ends with the job's end, or with the signal's reason. */
export function longWork({ store, binaries, log }: LongWorkOptions) {
  return {
    /** Throws BaseBackupFailed once the job has failed for good. */
    async copy({ signal, onProgress, onRetry, ...work }: CopyWork & Run) {
      const run = { signal, onProgress, onRetry };
      const end = await runJob({ task: "clone", work }, { store, log, ...run });
      if (end.type === "done" && end.backup !== undefined) return end.backup satisfies BaseBackup;
      throw new BaseBackupFailed(end.type === "failed" ? end.why : "the job made no copy");
    },
    /** Throws RewindFailed: it is never tried twice, for the first try has changed the data. */
    async rewind({ signal, onProgress, ...rest }: Omit<RewindOptions, "binaries">) {
      const work = { ...rest, program: binaries.program("pg_rewind") };
      const end = await runJob(
        { task: "rewind", work },
        { store, log, signal, onProgress: onProgress as Run["onProgress"] },
      );
      if (end.type === "failed") throw new RewindFailed(end.why);
    },
  };
}

async function runJob(
  work: Work,
  { store, log, signal, onProgress, onRetry }: Run & Pick<LongWorkOptions, "store" | "log">,
): Promise<Extract<News, { type: "done" | "failed" }>> {
  signal.throwIfAborted();
  const child = fork(MAIN, [], {
    serialization: "advanced",
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const kill = () => child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  let end: Extract<News, { type: "done" | "failed" }> | undefined;
  child.on("message", (news: News) => {
    if (news.type === "progress") onProgress?.(news.done, news.total);
    else if (news.type === "retrying") {
      const { attempt, why } = news;
      log.warn({ event: "agent.job_retried", job: work.task, attempt }, why);
      onRetry?.(why);
    } else end = news;
  });
  try {
    child.send({ ...work, store } satisfies Order);
    const [code, name] = await once(child, "exit");
    signal.throwIfAborted();
    return end ?? { type: "failed", why: `the job's process ended: ${name ?? `exit ${code}`}` };
  } finally {
    signal.removeEventListener("abort", kill);
    kill();
  }
}
