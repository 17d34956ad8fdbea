/** The process of `apart.ts`: one order in, news out, and the end. */
import { once } from "node:events";
import { monotonicClock } from "../clock/clock.ts";
import type { BackupNews, BackupOrder } from "./apart.ts";
import { takeBaseBackup } from "./base-backup.ts";

const ending = new AbortController();
// The worker is gone: nobody would swap the copy in.
process.once("disconnect", () => process.exit(1));

const tell = (news: BackupNews) =>
  new Promise<void>((resolve) => {
    process.send?.(news, undefined, undefined, () => resolve());
  });

const [order] = (await once(process, "message")) as [BackupOrder];
try {
  const backup = await takeBaseBackup({
    ...order,
    clock: monotonicClock,
    signal: ending.signal,
    onProgress: (done, total) => void tell({ type: "progress", done, total }),
  });
  await tell({ type: "done", backup });
} catch (error) {
  await tell({ type: "failed", why: error instanceof Error ? error.message : String(error) });
}
process.exit(0);
