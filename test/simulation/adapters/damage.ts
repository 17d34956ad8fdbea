/** No page of a modelled store is ever damaged. */

export function untilDamaged({ signal }: { readonly signal: AbortSignal }): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}
