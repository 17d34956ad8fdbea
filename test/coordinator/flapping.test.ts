import { expect, test } from "vitest";
import { type Flap, heldNodes, holdMs, isHeld, oneMore } from "../../src/coordinator/flapping.ts";

test("the hold doubles from 30 s to 10 minutes", () => {
  const holds = [1, 2, 3, 4, 5, 6, 7].map((count) => holdMs({ count }) / 1000);
  expect(holds).toEqual([30, 60, 120, 240, 480, 600, 600]);
});

test("a failover soon after the last one counts on, a late one counts from the beginning", () => {
  expect(oneMore(undefined)).toEqual({ count: 1, sinceMs: 0 });
  expect(oneMore({ count: 1, sinceMs: 59_000 })).toEqual({ count: 2, sinceMs: 0 });
  expect(oneMore({ count: 1, sinceMs: 61_000 })).toEqual({ count: 1, sinceMs: 0 });
  expect(oneMore({ count: 6, sinceMs: 1_100_000 })).toEqual({ count: 7, sinceMs: 0 });
});

test("a link that flaps for ten minutes costs a node the role at most once per hold (F52)", () => {
  // Silent for half a second in every five, as long as nobody holds it down.
  let flap: Flap | undefined;
  const failovers: number[] = [];
  for (let ms = 0; ms <= 600_000; ms += 5000) {
    const now: Flap | undefined = flap && { ...flap, sinceMs: ms - (failovers.at(-1) ?? 0) };
    if (isHeld(now)) continue;
    flap = oneMore(now);
    failovers.push(ms);
  }
  expect(failovers.map((ms) => ms / 1000)).toEqual([0, 30, 90, 210, 450]);
});

test("what has lasted ten seconds is no flap", () => {
  const flap = { count: 6, sinceMs: 20_000 };
  expect([undefined, 9999, 10_000].map((gapMs) => isHeld(flap, gapMs))).toEqual([
    true,
    true,
    false,
  ]);
});

test("nobody is held down who never flapped", () => {
  expect(heldNodes(new Map([[2, { count: 1, sinceMs: 30_000 }]])).size).toBe(0);
  expect([...heldNodes(new Map([[2, { count: 2, sinceMs: 30_000 }]]))]).toEqual([2]);
});
