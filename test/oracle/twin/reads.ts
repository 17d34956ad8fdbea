/** Twins of those who wait: tickets for reads (raft.read_asked, raft.read_answered), and gates (raft.gate). */
import type { LogIndex } from "../../../src/core/ids.ts";
import type { ReadAnswer } from "../../../src/db/raft.ts";

export class ReadTickets {
  #asked = 0n;
  #ticket = 0n;
  #index: LogIndex = 0n;

  take(): bigint {
    this.#asked += 1n;
    return this.#asked;
  }

  /** A sequence nobody has asked yet says 1. */
  #lastValue(): bigint {
    return this.#asked > 1n ? this.#asked : 1n;
  }

  /** raft.reads_asked */
  asked(): bigint {
    return this.#asked > this.#ticket ? this.#asked : 0n;
  }

  /** raft.confirm_reads */
  confirm({ ticket, index }: ReadAnswer): void {
    if (ticket <= this.#ticket || ticket > this.#lastValue()) return;
    this.#ticket = ticket;
    this.#index = index > this.#index ? index : this.#index;
  }

  /** raft.read_index */
  index(ticket: bigint): LogIndex | undefined {
    return this.#ticket >= ticket ? this.#index : undefined;
  }
}

export class Gates {
  #newest = 7307460000000000n;

  /** Shut the next; the one before. */
  turn(): bigint {
    this.#newest += 1n;
    return this.#newest - 1n;
  }
}
