/** Ctrl-C at any moment of a bootstrap leaves nothing running, and the next start goes on from there. */
import { spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { processesBelow, startCluster, temporaryFolder } from "../support/cluster.ts";
import { onPrimary, untilHealthy } from "../support/health.ts";
import { freeDemoPorts } from "../support/ports.ts";
import { describeProcess, signalTree } from "../support/processes.ts";
import { CLI, exitOf } from "../support/programs.ts";

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
let top: string | undefined;
let finished = false;

afterAll(async () => {
  if (top === undefined) return;
  signalTree(() => processesBelow(top ?? ""), "SIGKILL");
  if (finished) await rm(top, { recursive: true, force: true });
  else console.error(`logs are kept in ${top}`);
});

/** A small generator (mulberry32): the same seed, the same moments. */
function random(state: number): () => number {
  let next = state;
  return () => {
    next = (next + 0x6d2b79f5) | 0;
    let mixed = Math.imul(next ^ (next >>> 15), 1 | next);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function interruptedAfter(ms: number, dir: string, port: number): Promise<void> {
  const args = [CLI, "demo", "--dir", dir, "--port", `${port}`];
  const child = spawn(process.execPath, args, { stdio: "ignore" });
  await monotonicClock.sleep(ms);
  child.kill("SIGINT");
  const late = monotonicClock.sleep(30_000).then(() => "late");
  const ended = exitOf(child).then(() => "ended");
  expect(await Promise.race([ended, late])).toBe("ended");
  expect(processesBelow(dir).map(describeProcess)).toEqual([]);
}

test("a bootstrap interrupted again and again is finished by the next start", async () => {
  const next = random(seed);
  // Each attempt goes on where the last one stopped, so that later moments meet later steps.
  const moments = [0.1, 0.3, 0.5, 0.6, 0.7].map((part) => Math.round((part + next() * 0.3) * 8000));
  console.log(`SEED=${seed}: Ctrl-C after ${moments.join(", ")} ms`);
  top = await temporaryFolder("interrupted");
  const dir = join(top, "demo");
  const port = await freeDemoPorts(3);
  for (const ms of moments) await interruptedAfter(ms, dir, port);

  const cluster = await startCluster({ dir, port, limitMs: 90_000 });
  try {
    await untilHealthy(cluster);
    await onPrimary(cluster, "create table finished (n integer)");
  } finally {
    await cluster.stop();
  }
  finished = true;
}, 240_000);
