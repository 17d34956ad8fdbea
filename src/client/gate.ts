/** A bounded number of places with a bounded queue before them: first come, first served, nobody longer than he may. */
import type { Clock } from "../clock/clock.ts";
import { WAITED_LONG_ENOUGH } from "./call.ts";
import { ClientError } from "./errors.ts";

/** How long somebody may wait. */
export interface Patience {
  /** On the monotonic clock. */
  readonly acquireUntil: number;
  /** He wants no more. */
  readonly stop: AbortSignal | undefined;
}

/** The same as one signal, for a wait that is rare: it has a timer of its own. */
export interface Waiting extends Patience {
  readonly waitSignal: AbortSignal;
}

interface Waiter {
  readonly until: number;
  readonly enter: () => void;
  readonly refuse: (error: unknown) => void;
}

export class Gate {
  readonly #clock: Clock;
  readonly #size: number;
  readonly #maxWaiting: number;
  readonly #waiting = new Set<Waiter>();
  /** One timer for all who wait, and when it rings. */
  #timer: { readonly at: number; readonly off: AbortController } | undefined;
  inUse = 0;

  constructor(clock: Clock, size: number, maxWaiting: number) {
    this.#clock = clock;
    this.#size = size;
    this.#maxWaiting = maxWaiting;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** True: a place was free, and is taken. */
  tryEnter(): boolean {
    if (this.inUse >= this.#size) return false;
    this.inUse += 1;
    return true;
  }

  /** Wait for a place; rejects with WAITED_LONG_ENOUGH or the reason of `stop`, and then nothing is taken. */
  enter({ acquireUntil, stop }: Patience): Promise<void> {
    if (this.#waiting.size >= this.#maxWaiting) {
      const full = `${this.#maxWaiting} calls wait for a connection already`;
      return Promise.reject(new ClientError("QUEUE_FULL", full));
    }
    return new Promise((resolve, reject) => {
      const onStop = () => waiter.refuse(stop?.reason);
      const leaveQueue = () => {
        stop?.removeEventListener("abort", onStop);
        this.#waiting.delete(waiter);
      };
      const waiter: Waiter = {
        until: acquireUntil,
        enter: () => {
          leaveQueue();
          resolve();
        },
        refuse: (error) => {
          leaveQueue();
          reject(error);
        },
      };
      if (stop?.aborted) return reject(stop.reason);
      this.#waiting.add(waiter);
      stop?.addEventListener("abort", onStop, { once: true });
      this.#ringAt(acquireUntil);
    });
  }

  /** Mostly all may wait equally long, and the timer is set for the first of them already. */
  #ringAt(at: number): void {
    if (this.#timer !== undefined && this.#timer.at <= at) return;
    this.#timer?.off.abort(null);
    const timer = { at, off: new AbortController() };
    this.#timer = timer;
    const { signal } = timer.off;
    this.#clock.sleep(Math.max(1, at - this.#clock.now()), signal).then(() => {
      if (!signal.aborted) this.#ring();
    });
  }

  #ring(): void {
    this.#timer = undefined;
    const now = this.#clock.now();
    let next = Number.POSITIVE_INFINITY;
    for (const waiter of this.#waiting) {
      if (waiter.until <= now) waiter.refuse(WAITED_LONG_ENOUGH);
      else next = Math.min(next, waiter.until);
    }
    if (this.#waiting.size > 0) this.#ringAt(next);
  }

  /** Give the place back, or to the first who waits. */
  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.inUse -= 1;
    else next.enter();
  }

  /** Send all who wait away; who is in stays. */
  refuseAll(error: unknown): void {
    for (const { refuse } of this.#waiting) refuse(error);
    this.#timer?.off.abort(null);
    this.#timer = undefined;
  }
}
