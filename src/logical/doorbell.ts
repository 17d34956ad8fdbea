/** One waits until it is woken, or until its caller gives up. */
import { aborted } from "./errors.ts";

export class Doorbell {
  #wake: (() => void) | undefined;

  ring(): void {
    this.#wake?.();
  }

  /** The next ring. Rejects with kind `aborted` when `signal` aborts first. */
  wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        this.#wake = undefined;
        signal?.removeEventListener("abort", onAbort);
        act();
      };
      const onAbort = () => settle(() => reject(aborted(signal as AbortSignal)));
      this.#wake = () => settle(resolve);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }
}
