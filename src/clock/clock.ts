/** Time that only moves forward, passed in wherever something waits (H32: no wall clock decides). */

export interface Clock {
  /** Milliseconds on a monotonic clock; only differences mean anything. */
  now(): number;
  /** Wait; resolves early, without an error, when `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Let `now` count what the machine slept through, where the clock can tell. */
  catchUp?(): void;
  /** Milliseconds since the machine started, for every process on it alike; absent where the system does not tell. */
  sinceBootMs?(): number;
}

/** Waiting and being woken are frequent: one timer and one listener each, both taken away again. */
export const monotonicClock: Clock = {
  now: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) {
        resolve();
        return;
      }
      const wake = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      signal?.addEventListener("abort", wake);
    }),
};

/**
 * The same clock, counting sleep too: one that stops while the machine is suspended is set right by one that does not,
 * whenever it is told to catch up (H32). `boot` may be coarse: it only ever moves `now` forward.
 */
export function sleepCountingClock(base: Clock, boot: () => number): Clock {
  const lead = () => boot() - base.now();
  const first = lead();
  let slept = 0;
  return {
    now: () => base.now() + slept,
    sleep: (ms, signal) => base.sleep(ms, signal),
    catchUp: () => {
      slept = Math.max(slept, lead() - first);
    },
    sinceBootMs: boot,
  };
}

/**
 * How long to rest until the next beat of a rhythm that all who use it share: they wake together, and a process that
 * idles pays for one waking instead of many. Between a quarter and five quarters of `everyMs`.
 */
export function untilBeat(now: number, everyMs: number): number {
  const rest = everyMs - (now % everyMs);
  return Math.ceil(rest < everyMs / 4 ? rest + everyMs : rest);
}

export class WaitTimeout extends Error {
  override readonly name = "WaitTimeout";
}

export interface WaitOptions {
  readonly clock: Clock;
  readonly everyMs: number;
  readonly limitMs: number;
  readonly signal?: AbortSignal;
}

/** Poll until `check` gives something other than undefined or false; every wait has a name and a limit. */
export async function waitUntil<T>(
  name: string,
  { clock, everyMs, limitMs, signal }: WaitOptions,
  check: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const start = clock.now();
  for (;;) {
    signal?.throwIfAborted();
    const answer = await check();
    if (answer !== undefined && answer !== false) return answer;
    if (clock.now() - start > limitMs) throw new WaitTimeout(`${name}: not within ${limitMs} ms`);
    await clock.sleep(everyMs, signal);
  }
}
