/** Room kept beside the control store, given back when its volume is full (H66). */
import { chmod, mkdir, mkdtemp, open, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Clock } from "../../src/clock/clock.ts";
import { silentLog } from "../../src/log/logger.ts";
import {
  ballastPath,
  formerPath,
  giveRoom,
  isDiskFull,
  keepBallast,
} from "../../src/worker/ballast.ts";
import { run } from "../support/programs.ts";
import { skip } from "../support/skip.ts";
import { testNode } from "./node.ts";

let top = "";
let mounted: string | undefined;

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), "pgr-ballast-"));
  await chmod(top, 0o755);
});
afterAll(async () => {
  if (mounted !== undefined) await run("umount", [mounted]);
  await rm(top, { recursive: true, force: true });
});

/** Two looks, or so many, without waiting for any. */
async function twoLooks(control: { dir: string }, count = 2): Promise<void> {
  const end = new AbortController();
  let looks = 0;
  const clock = {
    now: () => looks * 60_000,
    sleep: async () => {
      looks += 1;
      if (looks > count) end.abort();
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

  // A damaged store that was kept aside goes first.
  const former = formerPath({ control } as never);
  await mkdir(former);
  await writeFile(join(former, "PG_VERSION"), "15\n");
  await writeFile(join(volume, "filler"), Buffer.alloc(231 * 1024 * 1024));
  await twoLooks(control, 1);
  await expect(stat(former)).rejects.toThrow(/ENOENT/);
  expect((await stat(path)).size).toBe(64 * 1024 * 1024);
  await twoLooks(control);
  await expect(stat(path)).rejects.toThrow(/ENOENT/);
  expect(await giveRoom({ control } as never)).toBeUndefined();
  // No room: it is not laid again.
  await twoLooks(control);
  await expect(stat(path)).rejects.toThrow(/ENOENT/);
}, 60_000);

test("a store whose volume is full to the last byte starts with the room that was kept", async (context) => {
  const volume = join(top, "store");
  await mkdir(volume);
  const args = ["-t", "tmpfs", "-o", "size=200m,mode=0755", "tmpfs", volume];
  const made = await run("mount", args).catch((error: Error) => ({
    exitCode: 1,
    stderr: error.message,
  }));
  if (made.exitCode !== 0) return skip(context, `no small volume can be mounted: ${made.stderr}`);
  const node = await testNode({}, volume);
  try {
    await node.create();
    await node.start();
    await node.stop();
    const path = ballastPath(node.config);
    await writeFile(path, Buffer.alloc(64 * 1024 * 1024));
    await fill(join(volume, "filler"));
    await node.start();
    await expect(stat(path)).rejects.toThrow(/ENOENT/);
    await node.sql("select raft.test_append()");
    await node.stop();
    // Nothing more is kept: it says what is wrong, and nothing of it is left running.
    await fill(join(volume, "more"));
    await expect(node.start()).rejects.toSatisfy(isDiskFull);
  } finally {
    await node.close();
    await run("umount", [volume]);
  }
}, 60_000);

/** Until not even a small file fits. */
async function fill(path: string): Promise<void> {
  const file = await open(path, "w");
  try {
    for (const size of [1024 * 1024, 4096]) {
      const block = Buffer.alloc(size);
      for (let full = false; !full; ) {
        await file.appendFile(block).catch((error: unknown) => {
          if (!isDiskFull(error)) throw error;
          full = true;
        });
      }
    }
  } finally {
    await file.close();
  }
}

test("a full disk is told from other troubles by what the server says", () => {
  expect(
    isDiskFull(new Error('FATAL: could not write to file "pg_wal/x": No space left on device')),
  ).toBe(true);
  expect(isDiskFull(new Error("could not bind: Address already in use"))).toBe(false);
});
