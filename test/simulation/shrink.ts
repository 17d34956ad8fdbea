/** Delta debugging: the fewest actions with which a run still violates the same invariant. */

import { type Outcome, run } from "./run.ts";
import type { Action, Scenario } from "./scenario.ts";

/** Tries no more than `limit` runs. */
export async function shrink(failed: Outcome, limit = 60): Promise<Scenario> {
  const wanted = new Set(failed.violations.map(({ invariant }) => invariant));
  let tries = 0;
  const fails = async (scenario: Scenario): Promise<boolean> => {
    tries += 1;
    const { violations } = await run(scenario);
    return violations.some(({ invariant }) => wanted.has(invariant));
  };
  let best = failed.scenario;
  let size = Math.max(1, Math.ceil(best.actions.length / 2));
  while (size >= 1 && tries < limit) {
    let smaller = false;
    for (let from = 0; from < best.actions.length && tries < limit; from += size) {
      const without = { ...best, actions: leftOut(best.actions, from, size) };
      if (await fails(without)) {
        best = without;
        smaller = true;
        break;
      }
    }
    if (!smaller && size === 1) break;
    if (!smaller) size = Math.floor(size / 2);
    size = Math.min(size, Math.max(1, best.actions.length));
  }
  return best;
}

function leftOut(actions: readonly Action[], from: number, size: number): Action[] {
  return actions.filter((_, at) => at < from || at >= from + size);
}
