/**
 * A base backup in a process of its own.
 *
 * It reads and writes for seconds to hours: there it neither stalls the worker's event loop (H63) nor leaves its
 * buffers in the worker's memory. It ends with the worker, however that ends.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { type BaseBackup, BaseBackupFailed, type BaseBackupOptions } from "./base-backup.ts";

/** What crosses over; 64-bit numbers as such (structured clone). */
export type BackupOrder = Omit<BaseBackupOptions, "clock" | "signal" | "onProgress" | "tls">;
export type BackupNews =
  | { readonly type: "progress"; readonly done: bigint; readonly total: bigint | undefined }
  | { readonly type: "done"; readonly backup: BaseBackup }
  | { readonly type: "failed"; readonly why: string };

const MAIN = join(
  import.meta.dirname,
  `apart-main${import.meta.filename.endsWith(".ts") ? ".ts" : ".js"}`,
);

/** As `takeBaseBackup`, elsewhere. Throws BaseBackupFailed, or the signal's reason. */
export async function takeBaseBackupApart({
  clock: _clock,
  signal,
  onProgress,
  ...order
}: Omit<BaseBackupOptions, "tls">): Promise<BaseBackup> {
  signal.throwIfAborted();
  const child = fork(MAIN, [], {
    serialization: "advanced",
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const kill = () => child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  let end: BackupNews | undefined;
  child.on("message", (news: BackupNews) => {
    if (news.type === "progress") onProgress?.(news.done, news.total);
    else end = news;
  });
  try {
    child.send(order satisfies BackupOrder);
    const [code, name] = await once(child, "exit");
    signal.throwIfAborted();
    if (end?.type === "done") return end.backup;
    const why = end?.type === "failed" ? end.why : `its process ended: ${name ?? `exit ${code}`}`;
    throw new BaseBackupFailed(why);
  } finally {
    signal.removeEventListener("abort", kill);
    kill();
  }
}
