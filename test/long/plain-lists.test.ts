/**
 * The control group of W1: one plain server, which must pass; and what its weaker levels let pass must be found when it
 * is passed off as serializable, or the checker is blind to what happens on real servers.
 */
import { expect, test } from "vitest";
import { monotonicClock } from "../../src/clock/clock.ts";
import { judgeLists } from "../histories/lists.ts";
import { finalLists, startLists } from "../support/load/lists.ts";
import { startPlain } from "../support/plain.ts";
import { Random } from "../support/random.ts";

const SEED = process.env.SEED ?? "1";
const RUN_MS = 15_000;

test("one plain server isolates transactions as their level promises, and no better", async () => {
  const { primary, stop } = await startPlain({ standbys: 0, confirmations: 0 });
  try {
    const lists = await startLists([primary.uri], new Random(SEED));
    await monotonicClock.sleep(RUN_MS);
    await lists.stop();
    const { history } = lists;
    const final = await finalLists(primary.uri, lists.table);
    const verdict = judgeLists(history, final);
    console.log(`${history.length} transactions`, verdict.edges);
    expect(verdict.anomalies).toEqual([]);
    expect(Math.min(...Object.values(verdict.edges))).toBeGreaterThan(100);
    const claimed = history.map((one) => ({ ...one, isolation: "serializable" as const }));
    const found = judgeLists(claimed, final).anomalies.map((one) => one.class);
    console.log(`as if serializable: ${[...new Set(found)].sort().join(", ")}`);
    expect(found).toEqual(expect.arrayContaining(["G-single"]));
  } finally {
    await stop();
  }
}, 120_000);
