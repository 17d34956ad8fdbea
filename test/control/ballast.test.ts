/** Room kept beside the control store, given back when its volume is full (H66). */
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Clock } from "../../src/clock/clock.ts";
import { silentLog } from "../../src/log/logger.ts";
import { ballastPath, dropBallast, isDiskFull, keepBallast } from "../../src/worker/ballast.ts";
import { run } from "../support/programs.ts";
import { skip } from "../support/skip.ts";

let top = "";
let mounted: string | undefined;

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), "pgr-ballast-"));
});
afterAll(async () => {
  if (mounted !== undefined) await run("umount", [mounted]);
  await rm(top, { recursive: true, force: true });
});

/** Two looks, without waiting for either. */
async function twoLooks(control: { dir: string }): Promise<void> {
  const end = new AbortController();
  let looks = 0;
  const clock = {
    now: () => looks * 60_000,
    sleep: async () => {
      looks += 1;
      if (looks > 2) end.abort();
    },
  } as unknown as Clock;
  const config = { control: control as never };
  await keepBallast(config, { clock, log: silentLog, signal: end.signal });
}

test("laid where there is room, and given back once the volume is full", async (context) => {
  const volume = join(top, "volume");
  await mkdir(volume);
  const args = ["-t", "tmpfs", "-o", "size=300m", "tmpfs", volume];
  const made = await run("mount", args).catch((error: Error) => ({
    exitCode: 1,
    stderr: error.message,
  }));
  if (made.exitCode !== 0) return skip(context, `no small volume can be mounted: ${made.stderr}`);
  mounted = volume;
  const control = { dir: join(volume, "control") };
  const path = ballastPath({ control } as never);
  await twoLooks(control);
  expect((await stat(path)).size).toBe(64 * 1024 * 1024);

  await writeFile(join(volume, "filler"), Buffer.alloc(232 * 1024 * 1024));
  await twoLooks(control);
  await expect(stat(path)).rejects.toThrow(/ENOENT/);
  expect(await dropBallast({ control } as never)).toBe(false);
  // No room: it is not laid again.
  await twoLooks(control);
  await expect(stat(path)).rejects.toThrow(/ENOENT/);
}, 60_000);

test("a full disk is told from other troubles by what the server says", () => {
  expect(
    isDiskFull(new Error('FATAL: could not write to file "pg_wal/x": No space left on device')),
  ).toBe(true);
  expect(isDiskFull(new Error("could not bind: Address already in use"))).toBe(false);
});
