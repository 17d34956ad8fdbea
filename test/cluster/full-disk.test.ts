/** A disk that fills during a bootstrap: the error says so, and with more space the same command goes on. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { processesBelow, startCluster, temporaryFolder } from "../support/cluster.ts";
import { onPrimary, untilHealthy } from "../support/health.ts";
import { freeDemoPorts } from "../support/ports.ts";
import { describeProcess } from "../support/processes.ts";
import { cli, run } from "../support/programs.ts";
import { skip } from "../support/skip.ts";

let top = "";
let volume = "";
let reason: string | undefined;

beforeAll(async () => {
  top = await temporaryFolder("full");
  volume = join(top, "volume");
  await mkdir(volume);
  const args = ["-t", "tmpfs", "-o", "size=70m,mode=0755", "tmpfs", volume];
  const mounted = await run("mount", args).catch((error: Error) => ({
    exitCode: 1,
    stderr: error.message,
  }));
  if (mounted.exitCode !== 0) reason = `no small volume can be mounted: ${mounted.stderr.trim()}`;
});

afterAll(async () => {
  if (reason === undefined) await run("umount", [volume]);
  await rm(top, { recursive: true, force: true });
});

test("a full disk is named, nothing is left running, and more space lets it go on", async (context) => {
  if (reason !== undefined) return skip(context, reason);
  const dir = join(volume, "demo");
  const port = await freeDemoPorts(3);
  const result = await cli(["demo", "--dir", dir, "--port", `${port}`], { limitMs: 60_000 });
  expect(result.timedOut, result.stderr + result.stdout).toBe(false);
  expect(result.exitCode).toBeGreaterThan(0);
  expect(result.stderr).toMatch(/space|ENOSPC/i);
  expect(processesBelow(dir).map(describeProcess)).toEqual([]);

  expect(await run("mount", ["-o", "remount,size=2g", volume])).toMatchObject({ exitCode: 0 });
  const cluster = await startCluster({ dir, port });
  try {
    await untilHealthy(cluster);
    await onPrimary(cluster, "create table fits (n integer)");
  } finally {
    await cluster.stop();
  }
}, 150_000);
