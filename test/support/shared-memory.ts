/**
 * What a killed postmaster leaves with the kernel: a segment of shared memory, 56 bytes long, which its own successor
 * would take away. One whose data directory is gone has none, and the kernel keeps 4096 of them at most.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { run } from "./programs.ts";

const TABLE = "/proc/sysvipc/shm";
/** Of PGShmemHeader, the whole of PostgreSQL's segment since 9.3. */
const BYTES = "56";

/** Remove those that were made since then, whose maker is dead and which nobody uses. */
export async function removeOrphanSegments(since: Date): Promise<number> {
  if (!existsSync(TABLE)) return 0;
  const [head = "", ...lines] = (await readFile(TABLE, "utf8")).trim().split("\n");
  const names = head.trim().split(/\s+/);
  let removed = 0;
  for (const line of lines) {
    const values = line.trim().split(/\s+/);
    const of = (name: string) => values[names.indexOf(name)] ?? "";
    const made = new Date(Number(of("ctime")) * 1000);
    const orphan =
      of("size") === BYTES && of("nattch") === "0" && !existsSync(`/proc/${of("cpid")}`);
    if (!orphan || made < since) continue;
    const { exitCode } = await run("ipcrm", ["-m", of("shmid")]);
    if (exitCode === 0) removed += 1;
  }
  return removed;
}
