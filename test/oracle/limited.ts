/** No wait of the oracle is without a limit and a name: a call that is never answered is a failure that says which. */

const LIMIT_MS = 30_000;

/** What the work answers; rejects by name when it does not within the limit. */
export async function limited<T>(
  name: string,
  work: Promise<T>,
  limitMs: number = LIMIT_MS,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${name}: no answer within ${limitMs} ms`));
    }, limitMs);
  });
  return await Promise.race([work, late]).finally(() => clearTimeout(timer));
}
