/**
 * The leader's side of a linearizable read: it tells a place in the log at or before which everything stands that was
 * committed before the question (R12; Raft thesis §6.4). Nothing is written into the log, and nothing made durable.
 *
 * Two things make the answer right. A round of heartbeats that began when the question was there, and that a majority
 * confirmed: so nobody had been elected after this leader before it, and nothing committed behind its back. And an
 * entry of its own term that is committed: before, it does not know how far its predecessors had come. No clock says
 * how long the answer is good for: it speaks of the past, and a pause after it harms nobody (H09).
 */
import type { Clock } from "../clock/clock.ts";
import type { LogIndex } from "../core/ids.ts";
import type { Hints } from "../db/hints.ts";
import type { Log } from "../log/logger.ts";
import type { Replicator } from "./replicator.ts";
import { Wakeup } from "./wakeup.ts";

export interface ReadsOptions {
  readonly replicator: Pick<Replicator, "confirmedSince" | "beatNow" | "readIndex">;
  /** The newest ticket in the own store; 0n when all are answered. */
  readonly asked: () => Promise<bigint>;
  readonly confirm: (ticket: bigint, index: LogIndex) => Promise<void>;
  /** Rung when somebody asks. */
  readonly hints: Hints;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborts when the term is over. */
  readonly signal: AbortSignal;
}

/** A hint may have been lost (H65). */
const LOOK_MS = 1000;

export class Reads {
  readonly #options: ReadsOptions;
  readonly #acked = new Wakeup();

  constructor(options: ReadsOptions) {
    this.#options = options;
  }

  /** An acceptor has confirmed this leader. */
  acked(): void {
    this.#acked.wake();
  }

  /** Runs until the term is over. Whoever asks while a round is under way shares the next. */
  async run(): Promise<void> {
    const { hints, log, signal } = this.#options;
    while (!signal.aborted) {
      try {
        if (await this.#answer()) continue;
      } catch (error) {
        // Who asked waits, or asks again.
        log.debug({ event: "control.gone" }, String(error));
      }
      await hints.within(LOOK_MS, signal);
    }
  }

  /** False when nobody asked. */
  async #answer(): Promise<boolean> {
    const { replicator, asked, confirm, clock, signal } = this.#options;
    const ticket = await asked();
    if (ticket === 0n) return false;
    const at = clock.now();
    replicator.beatNow();
    while (!signal.aborted) {
      const index = replicator.readIndex();
      if (index !== undefined && replicator.confirmedSince() >= at) {
        await confirm(ticket, index);
        return true;
      }
      await this.#acked.wait(signal);
    }
    return false;
  }
}
