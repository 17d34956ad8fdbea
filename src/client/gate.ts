/** A bounded number of places with a bounded queue before them: first come, first served. */
import { ClientError } from "./errors.ts";

interface Waiter {
  readonly enter: () => void;
  readonly refuse: (error: unknown) => void;
}

export class Gate {
  readonly size: number;
  readonly #maxWaiting: number;
  #waiting: Waiter[] = [];
  inUse = 0;

  constructor(size: number, maxWaiting: number) {
    this.size = size;
    this.#maxWaiting = maxWaiting;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** True: a place was free, and is taken. */
  tryEnter(): boolean {
    if (this.inUse >= this.size) return false;
    this.inUse += 1;
    return true;
  }

  /** Wait for a place; rejects with the signal's reason, and then nothing is taken. */
  enter(signal: AbortSignal): Promise<void> {
    if (this.tryEnter()) return Promise.resolve();
    if (this.#waiting.length >= this.#maxWaiting) {
      const full = `${this.#maxWaiting} calls wait for a connection already`;
      return Promise.reject(new ClientError("QUEUE_FULL", full));
    }
    return new Promise((resolve, reject) => {
      const leaveQueue = () => {
        signal.removeEventListener("abort", onAbort);
        this.#waiting = this.#waiting.filter((one) => one !== waiter);
      };
      const waiter: Waiter = {
        enter: () => {
          signal.removeEventListener("abort", onAbort);
          resolve();
        },
        refuse: (error) => {
          leaveQueue();
          reject(error);
        },
      };
      const onAbort = () => waiter.refuse(signal.reason);
      if (signal.aborted) return reject(signal.reason);
      this.#waiting.push(waiter);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Give the place back, or to the first who waits. */
  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.inUse -= 1;
    else next.enter();
  }

  /** Send all who wait away; who is in stays. */
  refuseAll(error: unknown): void {
    for (const { refuse } of this.#waiting) refuse(error);
  }
}
