/** Work that must end by a time, or when its caller gives up. */
import type { Clock } from "../clock/clock.ts";
import { ConnectionLost } from "./errors.ts";

export interface Limit {
  readonly clock: Clock;
  readonly limitMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Said when the time is over. */
  readonly late: string;
}

/** The signal that `work` is given aborts with the caller's, or at the limit with ConnectionLost; not after its end. */
export async function limited<T>(
  { clock, limitMs, signal, late }: Limit,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const done = new AbortController();
  void clock.sleep(limitMs, done.signal).then(() => {
    if (!done.signal.aborted) limit.abort(new ConnectionLost("silent", late));
  });
  const either = signal === undefined ? limit.signal : AbortSignal.any([limit.signal, signal]);
  try {
    return await work(either);
  } finally {
    done.abort();
  }
}
