/** Volumes have no end here: there is nothing to keep room for. */
export function keepBallast(
  _config: object,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
