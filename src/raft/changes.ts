/**
 * Changes of the members on their way into the log: each waits until the one before it has taken effect (H53).
 *
 * What a leader counts by must include the last change before it proposes the next, and an entry of its own term must
 * be committed before the first.
 */
import type { LogIndex } from "../core/ids.ts";

export interface Turn {
  /** Into the log; its index. */
  readonly take: () => LogIndex;
  readonly refuse: (error: Error) => void;
}

export class Changes {
  readonly #turns: Turn[] = [];
  /** How far the own store had applied the log when it told whom this leader counts by. */
  readonly #settled: () => LogIndex;
  /** The entry that must be settled before the next turn. */
  #last: LogIndex;

  constructor(firstOfTerm: LogIndex, settled: () => LogIndex) {
    this.#last = firstOfTerm;
    this.#settled = settled;
  }

  enter(turn: Turn): void {
    this.#turns.push(turn);
    this.next();
  }

  /** The own store was looked at: whoever waited for it may have his turn. */
  next(): void {
    if (this.#settled() < this.#last) return;
    const turn = this.#turns.shift();
    if (turn !== undefined) this.#last = turn.take();
  }

  /** The term is over: none of them was proposed. */
  end(error: Error): void {
    for (const { refuse } of this.#turns.splice(0)) refuse(error);
  }
}
