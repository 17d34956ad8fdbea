/** Messages that arrived and were not taken yet: bounded, and every wait for one is limited. */
import type { Clock } from "../clock/clock.ts";
import { invariant } from "../core/invariant.ts";
import { ConnectionLost } from "./errors.ts";
import type { BackendMessage } from "./wire.ts";

/** Past this many waiting bytes the source is paused; below half of it, resumed. */
const HIGH_WATER_BYTES = 2 * 1024 * 1024;
/** What a message costs besides its payload. */
const MESSAGE_BYTES = 64;

export interface Source {
  pause(): unknown;
  resume(): unknown;
  /** The server was silent for too long: nothing of it is wanted any more. */
  destroy(): unknown;
}

interface Waiter {
  readonly deadline: number;
  readonly limitMs: number;
  resolve(message: BackendMessage): void;
  reject(error: unknown): void;
}

export class Inbox {
  readonly #clock: Clock;
  readonly #source: Source;
  #queue: BackendMessage[] = [];
  #taken = 0;
  #bytes = 0;
  #paused = false;
  #waiter: Waiter | undefined;
  #failure: { readonly error: unknown } | undefined;
  /** Of the one that watches the deadlines: when it wakes, and what wakes it before. */
  #nap: { readonly until: number; readonly over: AbortController } | undefined;

  constructor(clock: Clock, source: Source) {
    this.#clock = clock;
    this.#source = source;
  }

  put(message: BackendMessage): void {
    if (this.#failure !== undefined) return;
    const waiter = this.#waiter;
    if (waiter !== undefined) {
      this.#waiter = undefined;
      waiter.resolve(message);
      return;
    }
    this.#queue.push(message);
    this.#bytes += sizeOf(message);
    if (this.#bytes > HIGH_WATER_BYTES && !this.#paused) {
      this.#paused = true;
      this.#source.pause();
    }
  }

  /** Nothing more will come: `take` rejects with `error` once what had arrived is taken. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    this.#waiter?.reject(error);
    this.#waiter = undefined;
    this.#nap?.over.abort();
  }

  /** Like `fail`, and what had arrived is dropped. */
  abandon(error: unknown): void {
    this.#queue = [];
    this.#taken = 0;
    this.fail(error);
  }

  /** The next message; one caller at a time. ConnectionLost after `limitMs` of silence. */
  take(limitMs: number): Promise<BackendMessage> {
    invariant(this.#waiter === undefined, "two callers wait for the same message");
    const next = this.#queue[this.#taken];
    if (next !== undefined) {
      this.#dropTaken(next);
      return Promise.resolve(next);
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    return new Promise((resolve, reject) => {
      const deadline = this.#clock.now() + limitMs;
      this.#waiter = { deadline, limitMs, resolve, reject };
      if (this.#nap === undefined) void this.#watch();
      else if (deadline < this.#nap.until) this.#nap.over.abort();
    });
  }

  #dropTaken(message: BackendMessage): void {
    this.#taken += 1;
    this.#bytes -= sizeOf(message);
    if (this.#taken === this.#queue.length) {
      this.#queue = [];
      this.#taken = 0;
    }
    if (this.#paused && this.#bytes < HIGH_WATER_BYTES / 2) {
      this.#paused = false;
      this.#source.resume();
    }
  }

  /** One sleeper for all waits in turn: a wait that is over in time costs no timer of its own. */
  async #watch(): Promise<void> {
    for (let waiter = this.#waiter; waiter !== undefined; waiter = this.#waiter) {
      const leftMs = waiter.deadline - this.#clock.now();
      if (leftMs <= 0) return this.#giveUp(waiter);
      this.#nap = { until: waiter.deadline, over: new AbortController() };
      await this.#clock.sleep(leftMs, this.#nap.over.signal);
      this.#nap = undefined;
    }
  }

  #giveUp({ limitMs }: Waiter): void {
    this.fail(new ConnectionLost("silent", `the server said nothing for ${limitMs} ms`));
    this.#source.destroy();
  }
}

function sizeOf(message: BackendMessage): number {
  return MESSAGE_BYTES + (message.kind === "copyData" ? message.bytes.length : 0);
}
