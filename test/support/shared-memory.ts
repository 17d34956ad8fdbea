/**
 * What a killed postmaster leaves with the kernel: a segment of shared memory, 56 bytes long, and files in /dev/shm,
 * which its own successor would take away. One whose data directory is gone has none, and the kernel keeps 4096
 * segments at most. A killed program under a false clock leaves files there too.
 */
import { existsSync } from "node:fs";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./programs.ts";

const TABLE = "/proc/sysvipc/shm";
/** Of PGShmemHeader, the whole of PostgreSQL's segment since 9.3. */
const BYTES = "56";

const FILES = "/dev/shm";
const OURS = /^(PostgreSQL\.\d+|(sem\.)?faketime_(shm|sem)_\d+)$/;

/** Remove what was made since then, whose maker is dead and which nobody uses. */
export async function removeOrphanSegments(since: Date): Promise<void> {
  if (!existsSync(TABLE)) return;
  await removeSegments(since);
  await removeFiles(since);
}

async function removeSegments(since: Date): Promise<void> {
  const [head = "", ...lines] = (await readFile(TABLE, "utf8")).trim().split("\n");
  const names = head.trim().split(/\s+/);
  for (const line of lines) {
    const values = line.trim().split(/\s+/);
    const of = (name: string) => values[names.indexOf(name)] ?? "";
    const made = new Date(Number(of("ctime")) * 1000);
    const orphan =
      of("size") === BYTES && of("nattch") === "0" && !existsSync(`/proc/${of("cpid")}`);
    if (!orphan || made < since) continue;
    await run("ipcrm", ["-m", of("shmid")]);
  }
}

/** Who uses one has it mapped. */
async function removeFiles(since: Date): Promise<void> {
  const mapped = await mappedFiles();
  for (const name of await readdir(FILES)) {
    const path = join(FILES, name);
    if (!OURS.test(name) || mapped.has(path)) continue;
    const made = await stat(path).catch(() => undefined); // its owner was quicker
    if (made !== undefined && made.ctime >= since) await rm(path, { force: true });
  }
}

async function mappedFiles(): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const maps = await readFile(`/proc/${pid}/maps`, "utf8").catch(() => ""); // it has ended
    for (const [path] of maps.matchAll(/\/dev\/shm\/\S+/g)) found.add(path);
  }
  return found;
}
