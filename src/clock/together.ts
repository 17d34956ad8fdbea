/** Loops that only make sense together: none goes on, and none is waited for, without the others. */

/**
 * Side by side until `outer` aborts: the first that ends or fails ends the others, through the signal they were begun
 * with, and its failure is thrown once all have ended.
 */
export async function together(
  outer: AbortSignal,
  begin: (signal: AbortSignal) => readonly Promise<void>[],
): Promise<void> {
  const end = new AbortController();
  const running = begin(AbortSignal.any([outer, end.signal]));
  try {
    await Promise.race(running);
  } finally {
    end.abort();
    await Promise.allSettled(running);
  }
}
