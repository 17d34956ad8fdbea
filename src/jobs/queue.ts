/** The queue of the control store, by the library that owns it: one job for this node's data at a time. */
import { Logger, makeWorkerUtils, run, type TaskList } from "graphile-worker";
import type pg from "pg";
import { z } from "zod";
import { callMany } from "../db/call.ts";
import type { News, Order } from "./orders.ts";

const POLL_MS = 500;
/**
 * The queue's pause after attempt n is e^n seconds, up to six hours: none is longer than a minute here, and whoever
 * wants the copy begins anew. A rewind is never tried on what a first try has changed.
 */
const MAX_ATTEMPTS = { clone: 5, rewind: 1 } as const;

/** What is done, told step by step. */
export type Perform = () => Promise<Extract<News, { type: "done" }>>;

/**
 * Put the job in the queue and run it to its end, whichever that is. There is one such process on a node, and one data
 * directory: what earlier ones have left, held or failed, this job replaces.
 */
export async function runInQueue(
  pool: pg.Pool,
  { task, work }: Pick<Order, "task" | "work">,
  perform: Perform,
  tell: (news: News) => Promise<void>,
): Promise<void> {
  const logger = new Logger(() => () => undefined);
  // A connection that is lost is told to whoever asked on it; the library insists on more.
  pool.on("connect", (client) => client.on("error", () => undefined));
  const options = { pgPool: pool, logger };
  const utils = await makeWorkerUtils(options);
  await utils.migrate();
  const older = await olderJobs(pool);
  await utils.forceUnlockWorkers(older.flatMap(({ locked_by }) => locked_by ?? []));
  await utils.completeJobs(older.map(({ id }) => id));
  const maxAttempts = ("attempts" in work ? work.attempts : undefined) ?? MAX_ATTEMPTS[task];
  await utils.addJob(task, describe({ task, work } as Order), { maxAttempts });
  await utils.release();
  let ended: (news: News) => void = () => undefined;
  const end = new Promise<News>((resolve) => {
    ended = resolve;
  });
  const taskList: TaskList = {
    [task]: async (_payload, { job }) => {
      try {
        ended(await perform());
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        if (job.attempts >= job.max_attempts) ended({ type: "failed", why });
        else await tell({ type: "retrying", why, attempt: job.attempts });
        throw error;
      }
    },
  };
  const runner = await run({
    ...options,
    taskList,
    concurrency: 1,
    pollInterval: POLL_MS,
    noHandleSignals: true,
  });
  const news = await end;
  // Waits until the queue knows how the job ended.
  await runner.stop();
  await tell(news);
}

const Older = z.object({ id: z.string(), locked_by: z.string().nullable() });

function olderJobs(pool: pg.Pool): Promise<z.infer<typeof Older>[]> {
  return callMany(pool, Older, { text: "select id::text, locked_by from graphile_worker.jobs" });
}

/** For people who look at the queue: from where and where to, without secrets. */
function describe(order: Order): Record<string, unknown> {
  if (order.task === "rewind") {
    const { source, dataDir } = order.work;
    return { from: `${source.host}:${source.port}`, dir: dataDir };
  }
  const { host, port, dir, label } = order.work;
  return { from: `${host}:${port}`, dir, label };
}
