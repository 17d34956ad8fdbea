/** Measures what the data server's own views cannot: the room on its disk, and how fast that and the lags change. */
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { gaugesOf, type Sample, withSample } from "../core/gauges.ts";
import type { Queryable } from "../db/call.ts";
import { standbyLags } from "../db/data-lags.ts";
import { replaceFile } from "../postgres/files.ts";
import type { Agent } from "./context.ts";

/**
 * Take one more look, and leave what it says beside the socket, where `pgreplica.gauges()` reads it: a standby has no
 * table to write to. Returns the looks that still count.
 */
export async function measure(
  { paths, clock, owner }: Pick<Agent, "paths" | "clock" | "owner">,
  db: Queryable,
  before: readonly Sample[],
): Promise<readonly Sample[]> {
  const { bavail, bsize } = await statfs(join(paths.dataDir, "pg_wal"));
  const sample = { at: clock.now(), freeBytes: bavail * bsize, lags: await standbyLags(db) };
  const samples = withSample(before, sample);
  const text = `${JSON.stringify(gaugesOf(samples))}\n`;
  await replaceFile(join(paths.socketDir, "gauges.json"), text, { owner });
  return samples;
}
