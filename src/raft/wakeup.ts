/** A bell that is remembered when nobody listens. One waiter. */
export class Wakeup {
  #rung = false;
  #resolve: (() => void) | undefined;

  wake(): void {
    this.#rung = true;
    this.#resolve?.();
  }

  /** Forget a ring nobody waited for: what it told is about to be looked at. */
  clear(): void {
    this.#rung = false;
  }

  /** Resolves at the next ring, at once if one came since the last wait, or when `signal` aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = () => {
          signal.removeEventListener("abort", done);
          this.#resolve = undefined;
          resolve();
        };
        this.#resolve = done;
        signal.addEventListener("abort", done, { once: true });
      });
    }
    this.#rung = false;
  }
}
