/** The worker of the candidate is killed between two steps of its promotion, at each of them (F35). */
import type { ChildProcess } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ByHand, prepareByHand } from "../support/by-hand.ts";
import { untilHealthy } from "../support/health.ts";
import { exitOf } from "../support/programs.ts";
import { nextWriter } from "../support/round.ts";
import { rows } from "../support/sql.ts";
import { until } from "../support/until.ts";
import { createWriterTable, startWriter } from "../support/writer.ts";

let hand: ByHand;
let failed = true;
const workers = new Map<number, ChildProcess>();

async function restartWorker(id: number, env: NodeJS.ProcessEnv = {}): Promise<ChildProcess> {
  const old = workers.get(id);
  if (old !== undefined && old.exitCode === null && old.signalCode === null) {
    old.kill("SIGTERM");
    await exitOf(old);
  }
  const child = await hand.run(id, env);
  workers.set(id, child);
  return child;
}

beforeAll(async () => {
  hand = await prepareByHand();
  for (const { id } of hand.nodes) expect(await hand.init(id)).toMatchObject({ exitCode: 0 });
  for (const { id } of hand.nodes) await restartWorker(id);
  await untilHealthy(hand, 120_000);
  failed = false;
}, 240_000);

afterAll(async () => {
  await hand?.discard(failed ? "keep" : "remove");
}, 60_000);

test.each(["pledge", "settings", "seed", "promote", "stamp", "gate"])(
  "killed after %s: resumed or given up, one promotion an epoch, nothing lost",
  async (step) => {
    failed = true;
    const before = await untilHealthy(hand, 120_000);
    const candidate = before.standbys[0] ?? 0;
    await createWriterTable(hand.node(before.primary).data.uri);
    const doomed = await restartWorker(candidate, { HA_FP: `${step}:kill` });
    await untilHealthy(hand, 60_000);
    const writer = startWriter({ hosts: hand.dataUris(), writer: nextWriter(), everyMs: 5 });
    try {
      await writer.untilAcknowledged(50, 10_000);
      const asked = rows(
        hand.node(before.primary).control.uri,
        "select * from pg_replica.switchover($1::integer, wait_ms => 0)",
        [candidate],
      );
      await exitOf(doomed);
      const died = performance.now();
      await asked;
      expect(doomed.signalCode).toBe("SIGKILL");
      // Nobody brings it back for a while: the others must manage, or its server goes on as it is.
      await writer.nextAckOverNewConnection(died, 40_000);
      const gap = performance.now() - died;
      console.log(`${step}: writes again ${gap.toFixed(0)} ms after the worker died`);
      expect(gap).toBeLessThan(20_000);
      await restartWorker(candidate);
      const after = await untilHealthy(hand, 120_000);
      await writer.stop();
      const result = await writer.check(hand.node(after.primary).data.uri);
      expect(result).toMatchObject({ lost: [], invented: [] });
      const history = await rows<{ epoch: string; timeline: number }>(
        hand.node(1).control.uri,
        "select epoch, timeline from pg_replica.history() order by epoch",
      );
      // D3: an epoch has one promotion, and a timeline is never given out twice.
      expect(new Set(history.map(({ epoch }) => epoch)).size).toBe(history.length);
      expect(new Set(history.map(({ timeline }) => timeline)).size).toBe(history.length);
    } finally {
      await writer.stop();
    }
    failed = false;
  },
  240_000,
);

test("the cluster is whole afterwards, and every member agrees on what happened", async () => {
  await until("all nodes tell the same history", { limitMs: 20_000 }, async () => {
    const told = await Promise.all(
      hand.controlUris().map((uri) => rows(uri, "select * from pg_replica.history()")),
    );
    return told.every((one) => JSON.stringify(one) === JSON.stringify(told[0]));
  });
});
