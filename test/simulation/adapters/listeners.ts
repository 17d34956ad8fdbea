/** Nobody listens to a modelled store but its worker. */
export function keepNotificationsMoving({
  signal,
}: {
  readonly signal: AbortSignal;
}): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
