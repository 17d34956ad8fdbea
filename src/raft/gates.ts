/**
 * The leader's side of what SQL callers hand in on its own store: proposals, and questions for a linearizable read.
 *
 * Callers do not look again and again: each waits at the gate that was shut when it came (sql/10_raft/turn_gate.sql).
 * A turn takes what was handed in, shuts the next gate, and opens the old one once everything taken is applied to this
 * store, and answered. What comes meanwhile shares the next turn.
 *
 * A read is told a place in the log at or before which everything stands that was committed before the question (R12;
 * Raft thesis §6.4). Nothing is written into the log, and nothing made durable. Two things make the answer right. A
 * round of heartbeats that began when the question was there, and that a majority confirmed: so nobody had been elected
 * after this leader before it, and nothing committed behind its back. And an entry of its own term that is committed:
 * before, it does not know how far its predecessors had come. No clock says how long the answer is good for: it speaks
 * of the past, and a pause after it harms nobody (H09).
 */
import { type Clock, untilBeat } from "../clock/clock.ts";
import type { Queryable } from "../db/call.ts";
import type { Hints } from "../db/hints.ts";
import {
  confirmReads,
  type InboxProposal,
  openGate,
  type ReadAnswer,
  type Turn,
  turnGate,
} from "../db/raft.ts";
import type { Log } from "../log/logger.ts";
import type { Replicator } from "./replicator.ts";
import { Wakeup } from "./wakeup.ts";

/** The gates of a store. */
export interface Doors {
  readonly turn: (max: number) => Promise<Turn>;
  /** True when more was handed in or asked since. */
  readonly open: (gate: bigint, answer: ReadAnswer | undefined) => Promise<boolean>;
  readonly confirm: (answer: ReadAnswer) => Promise<void>;
}

/** `own`: one connection, always the same while it lasts, for the gates are its session's. */
export function doorsOf(own: Queryable): Doors {
  return {
    turn: (max) => turnGate(own, max),
    open: (gate, answer) => openGate(own, gate, answer),
    confirm: (answer) => confirmReads(own, answer),
  };
}

export interface GatesOptions extends Doors {
  readonly replicator: Pick<Replicator, "confirmedSince" | "beatNow" | "readIndex" | "take">;
  /** Rung when something is handed in. */
  readonly hints: Hints;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborts when the term is over. */
  readonly signal: AbortSignal;
}

/** A hint may have been lost (H65); who waits gives up after five seconds. */
const LOOK_MS = 2000;
/** Unless somebody rings: a new leader has a failover to lead. */
const FIRST_MS = 300;
const MOST = 512;
/** What takes longer, as there is no majority, holds up nobody who comes later. */
const TURN_MS = 200;

export class Gates {
  readonly #options: GatesOptions;
  readonly #acked = new Wakeup();

  constructor(options: GatesOptions) {
    this.#options = options;
  }

  /** An acceptor has confirmed this leader. */
  acked(): void {
    this.#acked.wake();
  }

  /** Runs until the term is over. */
  async run(): Promise<void> {
    const { hints, clock, log, signal } = this.#options;
    await hints.within(FIRST_MS, signal);
    while (!signal.aborted) {
      try {
        if (await this.#turn()) continue;
      } catch (error) {
        // Who waits looks by itself, or asks again.
        log.debug({ event: "control.gone" }, String(error));
      }
      await hints.within(untilBeat(clock.now(), LOOK_MS), signal);
    }
  }

  /** True when there is more to do already: who asks while a gate is shut does not ring. */
  async #turn(): Promise<boolean> {
    const { turn, open } = this.#options;
    const { gate, ticket, proposals } = await turn(MOST);
    let answer: ReadAnswer | undefined;
    let more = false;
    try {
      answer = await this.#inTime(this.#serve(ticket, proposals));
    } finally {
      more = await open(gate, answer);
    }
    return more;
  }

  /** What is to be told as the gate opens: while proposals keep it shut, those who ask elsewhere do not wait for it. */
  async #serve(
    ticket: bigint,
    proposals: readonly InboxProposal[],
  ): Promise<ReadAnswer | undefined> {
    const answered = this.#answer(ticket);
    if (proposals.length === 0) return await answered;
    const { confirm } = this.#options;
    const told = answered.then((answer) => answer && confirm(answer));
    await Promise.all([told, this.#apply(proposals)]);
    return undefined;
  }

  /** What came of it within a turn's limit. Else those at a later gate by then are let through when it is over. */
  async #inTime(work: Promise<ReadAnswer | undefined>): Promise<ReadAnswer | undefined> {
    const { confirm, clock, hints, signal } = this.#options;
    const over = new AbortController();
    const done = work.then((answer) => ({ answer }));
    const limit = clock.sleep(TURN_MS, AbortSignal.any([signal, over.signal]));
    const first = await Promise.race([done, limit]);
    over.abort(null);
    if (first !== undefined) return first.answer;
    void work
      .then((answer) => answer && confirm(answer))
      .catch(() => undefined)
      .finally(() => hints.nudge());
    return undefined;
  }

  /** What fails leaves no outcome, or one that its caller finds. */
  async #apply(proposals: readonly InboxProposal[]): Promise<void> {
    const { replicator } = this.#options;
    await Promise.allSettled(proposals.map((proposal) => replicator.take(proposal)));
  }

  async #answer(ticket: bigint): Promise<ReadAnswer | undefined> {
    if (ticket === 0n) return undefined;
    const { replicator, clock, signal } = this.#options;
    const at = clock.now();
    replicator.beatNow();
    while (!signal.aborted) {
      const index = replicator.readIndex();
      if (index !== undefined && replicator.confirmedSince() >= at) {
        return { ticket, index };
      }
      await this.#acked.wait(signal);
    }
    return undefined;
  }
}
