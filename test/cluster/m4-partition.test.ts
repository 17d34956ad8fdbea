/** m4-partition: the primary's control traffic is cut, its data port stays open. Its lease ends, and it with it. */
import type pg from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { type Bed, openBed } from "../support/bed/bed.ts";
import type { Block, Cut } from "../support/bed/links.ts";
import { expectWithin } from "../support/fixture.ts";
import { onPrimary, untilHealthy, untilNewPrimary } from "../support/health.ts";
import { watchLag } from "../support/lag.ts";
import { OVER_MS, refusesAll, untilOver } from "../support/old-primary.ts";
import { type Probe, startProbe } from "../support/probe.ts";
import { hangUp, open } from "../support/sql.ts";

let bed: Bed;
vi.setConfig({ testTimeout: 150_000 });
beforeAll(async () => {
  bed = await openBed({ volumes: false });
  await onPrimary(bed, "create table m4 (n integer)");
}, 240_000);
afterAll(() => bed?.close("remove"), 60_000);

/** Packets of control traffic, each direction by itself: of one link both ends' services are on port `control`. */
const WAYS: Readonly<Record<string, (primary: number, others: readonly number[]) => Cut[]>> = {
  "both ways": (primary, others) => [...into(primary, others), ...outOf(primary, others)],
  "into the node": into,
  "out of the node": outOf,
};

function into(primary: number, others: readonly number[]): Cut[] {
  return others.map((other) => ({ from: other, to: primary, port: "control", how: "drop" }));
}

function outOf(primary: number, others: readonly number[]): Cut[] {
  return others.map((other) => ({ from: primary, to: other, port: "control", how: "drop" }));
}

/** What a worker's parts may take to end: more than its own waits, far less than TCP's. */
const END_MS = 5000;

let turn = 0;

test.each(Object.keys(WAYS))(
  "control traffic is cut %s: the old primary is over in time",
  async (way) => {
    if (bed.network.kind === "proxy" && way !== "both ways") {
      // A proxy stops connections, not packets: those of the node itself would go on.
      console.log(`skipped (capability): ${way}: ${bed.host.missing("packet rules")}`);
      return;
    }
    const { primary, standbys } = await untilHealthy(bed);
    const { uri } = bed.node(primary).data;
    const probe: Probe = await startProbe(bed);
    const sessions: pg.Client[] = [];
    const session = async (answerMs?: number) => {
      const client = await open(uri, answerMs === undefined ? {} : { answerMs });
      sessions.push(client);
      return client;
    };
    const [reading, old] = [await session(), await session(1000)];
    let cut: Block | undefined;
    try {
      const lag = watchLag();
      const at = performance.now();
      cut = await bed.network.cut(WAYS[way]?.(primary, standbys) ?? []);
      const over = await untilOver(uri, reading, 3 * OVER_MS);
      // The lease may have been renewed right before the cut.
      expectWithin("the old primary served for", over - at, OVER_MS, lag.stop());
      expect(await cut.hits()).toBeGreaterThan(0);
      await refusesAll(uri, old, "m4");
      const next = await untilNewPrimary(bed, primary, 20_000);
      turn += 1;
      await onPrimary(bed, "insert into m4 values ($1)", [turn]);
      await refusesAll(uri, old, "m4");
      await cut.lift();
      cut = undefined;
      const healed = await untilHealthy(bed, 90_000);
      await probe.stop();
      expect(healed.primary).toBe(next);
      expect(probe.owners()).toEqual([primary, next]);
      await onPrimary(bed, "insert into m4 values ($1)", [-turn]);
    } finally {
      await cut?.lift();
      await probe.stop();
      for (const client of sessions) hangUp(client);
    }
  },
);

test("a worker that is told to end does so, though nobody answers its farewells", async () => {
  const { primary, standbys } = await untilHealthy(bed);
  const [node = 0] = standbys;
  const cut = await bed.network.cut(
    standbys.flatMap((other): Cut[] => [
      { from: other, to: primary, how: "drop" },
      { from: primary, to: other, how: "drop" },
    ]),
  );
  try {
    // Every connection to the primary has something under way by now that nobody acknowledges.
    await monotonicClock.sleep(300);
    const lag = watchLag();
    const at = performance.now();
    await bed.keeper(node).end();
    expectWithin("the worker ended in", performance.now() - at, END_MS, lag.stop());
  } finally {
    await cut.lift();
    bed.keeper(node).start();
  }
  await untilHealthy(bed, 90_000);
});
