/** The process of `long-work.ts`: one order in, news out, and the end. */
import { once } from "node:events";
import { monotonicClock } from "../clock/clock.ts";
import { openPool } from "../db/connect.ts";
import { removeTree } from "../postgres/files.ts";
import { rewind } from "../postgres/pg-rewind.ts";
import { takeBaseBackup } from "../replication/base-backup.ts";
import type { News, Order } from "./orders.ts";
import { runInQueue } from "./queue.ts";

const CONNECTIONS = 3;

const { signal } = new AbortController();
// The worker is gone: nobody would go on with what is made here.
process.once("disconnect", () => process.exit(1));

const tell = (news: News) =>
  new Promise<void>((resolve) => {
    process.send?.(news, undefined, undefined, () => resolve());
  });

const onProgress = (done: bigint, total: bigint | undefined) =>
  void tell({ type: "progress", done, total });

async function perform(order: Order): Promise<Extract<News, { type: "done" }>> {
  if (order.task === "rewind") {
    const { program, ...work } = order.work;
    await rewind({ ...work, binaries: { program: () => program }, signal, onProgress });
    return { type: "done", backup: undefined };
  }
  // What an earlier attempt has left; the note beside it says that it is ours (H04).
  await removeTree(order.work.dir);
  const backup = await takeBaseBackup({
    ...order.work,
    clock: monotonicClock,
    signal,
    onProgress,
  });
  return { type: "done", backup };
}

const [order] = (await once(process, "message")) as [Order];
const pool = openPool(order.store, CONNECTIONS);
try {
  await runInQueue(pool, order, () => perform(order), tell);
} catch (error) {
  await tell({ type: "failed", why: error instanceof Error ? error.message : String(error) });
}
process.exit(0);
