/** The watch over a primary's data port: a packet that is lost is no silence, and silence is seen all the same. */
import { expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { PrimaryWatch, type ProbeResult } from "../../src/leader/watch.ts";
import { until } from "../support/until.ts";

const target = { id: 1, host: "127.0.0.1", port: 1 };

/** The first try hears nothing for two seconds, as one whose first packet was lost; the next ones hear `then`. */
function watching(then: () => Promise<ProbeResult>) {
  let tries = 0;
  const watch = new PrimaryWatch({
    clock: monotonicClock,
    probe: async (_target, limitMs) => {
      tries += 1;
      if (tries > 1) return await then();
      await monotonicClock.sleep(limitMs);
      return "silent";
    },
  });
  watch.suspect(target);
  return watch;
}

test.each(["answers", "refused"] as const)(
  "where the first try is lost another finds out: %s (D16)",
  async (result) => {
    const watch = watching(async () => result);
    await until("it is known", { limitMs: 450 }, () => watch.fact(1).result === result);
  },
);

test("where nothing answers, the silence counts from the first try", async () => {
  const watch = watching(async () => {
    await monotonicClock.sleep(2000);
    return "silent";
  });
  await monotonicClock.sleep(600);
  expect(watch.fact(1)).toMatchObject({ result: "silent" });
  expect(watch.fact(1).sinceMs).toBeGreaterThan(550);
});
