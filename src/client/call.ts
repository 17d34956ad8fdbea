/** One call of the user: its deadline, its signal, its attempts. */
import type { Clock } from "../clock/clock.ts";
import { ClientError } from "./errors.ts";

export interface CallLimits {
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class Call {
  readonly clock: Clock;
  readonly startedAt: number;
  #acquireFrom: number;
  readonly #acquireTimeoutMs: number;
  /** Aborts, with TIMEOUT or ABORTED as its reason, when the caller wants no more; undefined: never. */
  readonly stop: AbortSignal | undefined;
  /** Ends timers and listeners; most calls have none. */
  #ender: AbortController | undefined;
  /** Takes the listener from the caller's signal. */
  #leave: (() => void) | undefined;
  #wait: AbortController | undefined;
  attempts = 0;
  /** The last node that gave no connection. */
  refusal: { readonly node: string; readonly error: unknown } | undefined;
  /** Nodes that failed this call. */
  readonly avoid = new Set<string>();

  constructor(clock: Clock, acquireTimeoutMs: number, { timeoutMs, signal }: CallLimits) {
    this.clock = clock;
    this.startedAt = clock.now();
    this.#acquireFrom = this.startedAt;
    this.#acquireTimeoutMs = acquireTimeoutMs;
    if (timeoutMs === undefined && signal === undefined) return;
    const stop = new AbortController();
    this.stop = stop.signal;
    if (timeoutMs !== undefined) {
      clock.sleep(timeoutMs, this.#over.signal).then(() => {
        if (!this.#over.signal.aborted) {
          stop.abort(new ClientError("TIMEOUT", `not within ${timeoutMs} ms`));
        }
      });
    }
    if (signal === undefined) return;
    const abort = () =>
      stop.abort(
        new ClientError("ABORTED", "the caller's signal aborted", { cause: signal.reason }),
      );
    if (signal.aborted) abort();
    // Not by a signal of its own: of several such on one target Node.js forgets all but one when it collects garbage,
    // and the caller's may live as long as the program.
    signal.addEventListener("abort", abort);
    this.#leave = () => signal.removeEventListener("abort", abort);
  }

  /** Throws the reason once the caller wants no more. */
  check(): void {
    if (this.stop?.aborted) throw this.stop.reason;
  }

  /** Until when an attempt may wait for a node and a connection. */
  get acquireUntil(): number {
    return this.#acquireFrom + this.#acquireTimeoutMs;
  }

  get acquireLeft(): number {
    return this.acquireUntil - this.clock.now();
  }

  /** For waits before anything is sent: aborts with `stop`, and when acquireTimeoutMs are over (reason undefined). */
  get waitSignal(): AbortSignal {
    if (this.#wait !== undefined) return this.#wait.signal;
    const wait = new AbortController();
    this.#wait = wait;
    const onStop = () => wait.abort(this.stop?.reason);
    if (this.stop?.aborted) onStop();
    this.stop?.addEventListener("abort", onStop, { signal: this.#over.signal });
    this.clock.sleep(Math.max(0, this.acquireLeft), this.#over.signal).then(() => {
      if (!this.#over.signal.aborted) wait.abort(WAITED_LONG_ENOUGH);
    });
    return wait.signal;
  }

  /** Another attempt may wait for a node as long as the first one could. */
  next(): void {
    this.attempts += 1;
    if (this.attempts === 1) return;
    this.#acquireFrom = this.clock.now();
    this.#wait = undefined;
  }

  pause(ms: number): Promise<void> {
    return this.clock.sleep(ms, this.stop);
  }

  get #over(): AbortController {
    this.#ender ??= new AbortController();
    return this.#ender;
  }

  /** Timers and listeners go. */
  end(): void {
    this.#ender?.abort(null);
    this.#leave?.();
  }
}

/** A handler of the caller's; what it throws is ignored, as of a logger: what called it must go on. */
export function tell<T>(handler: (news: T) => void, news: T): void {
  try {
    handler(news);
  } catch {
    // His own concern.
  }
}

/** Why a wait ended that nobody but acquireTimeoutMs ended. */
export const WAITED_LONG_ENOUGH: unique symbol = Symbol("acquireTimeoutMs");
