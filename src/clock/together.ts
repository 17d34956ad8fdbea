/** Loops that only make sense together: none goes on, and none is waited for long, without the others. */
import type { Clock } from "./clock.ts";

/** Where one has failed, the others end within this, or are left to themselves: one of them may stand still. */
const END_LIMIT_MS = 10_000;

/**
 * Side by side until `signal` aborts: the first that ends or fails ends the others, through the signal they were begun
 * with, and its failure is thrown.
 */
export async function together(
  { signal: outer, clock }: { readonly signal: AbortSignal; readonly clock: Clock },
  begin: (signal: AbortSignal) => readonly Promise<void>[],
): Promise<void> {
  const end = new AbortController();
  const running = begin(AbortSignal.any([outer, end.signal]));
  const ended = Promise.allSettled(running);
  try {
    await Promise.race(running);
  } catch (error) {
    end.abort();
    const limit = new AbortController();
    await Promise.race([ended, clock.sleep(END_LIMIT_MS, limit.signal)]);
    limit.abort();
    throw error;
  }
  end.abort();
  await ended;
}
