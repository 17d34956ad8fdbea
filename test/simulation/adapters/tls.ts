/** Nobody listens in on a simulated network. */
export function keepTls(
  _config: object,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
