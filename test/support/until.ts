/** Bounded polling for tests that watch from outside; the last reason is in the error. */
import { monotonicClock } from "../../src/clock/clock.ts";
import { isOverloaded } from "./lag.ts";

/** So much longer a wait lasts where the machine is too busy to be judged by its clock. */
const PATIENCE = 4;

/** What a check says while it waits: why not yet. */
export class NotYet extends Error {
  override readonly name = "NotYet";
}

export interface UntilOptions {
  readonly limitMs: number;
  readonly everyMs?: number;
}

/**
 * Poll `check` until it returns something other than undefined and false. A `NotYet` or any other error counts as
 * "not yet", and the last one is the cause of the failure when the limit (milliseconds) has passed. What must be quick
 * is measured with `expectWithin`: on an overloaded machine this limit is a longer one.
 */
export async function until<T>(
  name: string,
  { limitMs, everyMs = 25 }: UntilOptions,
  check: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const started = monotonicClock.now();
  let last: unknown;
  for (;;) {
    try {
      const answer = await check();
      if (answer !== undefined && answer !== false) return answer;
      last = undefined;
    } catch (error) {
      last = error;
    }
    const waited = monotonicClock.now() - started;
    if (waited > PATIENCE * limitMs || (waited > limitMs && !isOverloaded())) {
      const why = last instanceof Error ? `: ${last.message}` : "";
      throw new Error(`${name}: not within ${Math.round(waited)} ms${why}`, { cause: last });
    }
    await monotonicClock.sleep(everyMs);
  }
}

/** The inverse: fails as soon as `check` does not hold during the whole of `forMs` milliseconds. */
export async function holds(
  name: string,
  { forMs, everyMs = 100 }: { readonly forMs: number; readonly everyMs?: number },
  check: () => Promise<boolean> | boolean,
): Promise<void> {
  const started = monotonicClock.now();
  while (monotonicClock.now() - started < forMs) {
    if (!(await check())) {
      const after = Math.round(monotonicClock.now() - started);
      throw new Error(`${name}: no longer so after ${after} ms of ${forMs}`);
    }
    await monotonicClock.sleep(everyMs);
  }
}
