/** When an agent looks again. */
import { describe, expect, test } from "vitest";
import { untilTurnMs } from "../../src/agent/loop.ts";
import { untilBeat } from "../../src/clock/clock.ts";

const NOW = 10_050;
const PROBE_MS = 200;
const BEAT_MS = untilBeat(NOW, PROBE_MS);
const failed = { running: undefined, failures: 1 };

describe("until the next turn", () => {
  test.each([
    ["in step, while nothing failed", { running: undefined, failures: 0, retryAt: 0 }, BEAT_MS],
    ["sooner, when an act is to be tried again", { ...failed, retryAt: NOW + 20 }, 20],
    ["in step, when that is later", { ...failed, retryAt: NOW + 5000 }, BEAT_MS],
    ["in step, when it was due and could not begin", { ...failed, retryAt: NOW - 20 }, BEAT_MS],
  ])("%s", (_, loop, expected) => {
    expect(untilTurnMs(loop, NOW, PROBE_MS)).toBe(expected);
  });

  test("in step, while an act that failed before is under way again, however long it takes", () => {
    const running = {} as NonNullable<Parameters<typeof untilTurnMs>[0]["running"]>;
    expect(untilTurnMs({ running, failures: 3, retryAt: NOW - 60_000 }, NOW, PROBE_MS)).toBe(
      BEAT_MS,
    );
  });
});
