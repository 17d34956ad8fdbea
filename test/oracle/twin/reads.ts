/** Twins of those who wait: tickets for reads (raft.read_asked, raft.read_confirmed), and gates (raft.gate). */
import type { LogIndex } from "../../../src/core/ids.ts";

export class ReadTickets {
  #asked = 0n;
  #ticket = 0n;
  #index: LogIndex = 0n;

  take(): bigint {
    this.#asked += 1n;
    return this.#asked;
  }

  /** raft.reads_asked */
  asked(): bigint {
    return this.#asked > this.#ticket ? this.#asked : 0n;
  }

  /** raft.confirm_reads */
  confirm(ticket: bigint, index: LogIndex): void {
    this.#ticket = ticket > this.#ticket ? ticket : this.#ticket;
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
