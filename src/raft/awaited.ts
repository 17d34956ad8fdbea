/** Proposals that somebody awaits: answered in order, once the own store has applied them. */
import type { LogIndex, Term } from "../core/ids.ts";
import type { Log } from "../log/logger.ts";
import { type Outcome, UnknownOutcome } from "./raft.ts";

interface Waiting {
  readonly index: LogIndex;
  readonly reject: (error: Error) => void;
}

/** Of a proposal of this worker's, by its number. */
interface WantsOutcome extends Waiting {
  readonly sequence: bigint;
  readonly resolve: (outcome: Outcome) => void;
}

/** Who asked finds the outcome in the store. */
interface WantsApplied extends Waiting {
  readonly resolve: () => void;
}

export class Awaited {
  readonly #read: (sequence: bigint) => Promise<Outcome | undefined>;
  readonly #log: Log;
  #waiting: (WantsOutcome | WantsApplied)[] = [];
  #applied: LogIndex = 0n;
  #resolving = false;

  /** `read`: what the own store says became of a proposal. */
  constructor(read: (sequence: bigint) => Promise<Outcome | undefined>, log: Log) {
    this.#read = read;
    this.#log = log;
  }

  add(waiting: WantsOutcome | WantsApplied): void {
    this.#waiting.push(waiting);
  }

  /** The own store has applied so far. */
  applied(index: LogIndex): void {
    if (index <= this.#applied) return;
    this.#applied = index;
    void this.#resolve();
  }

  async #resolve(): Promise<void> {
    if (this.#resolving) return;
    this.#resolving = true;
    try {
      for (;;) {
        const next = this.#waiting[0];
        if (next === undefined || next.index > this.#applied) return;
        if (!("sequence" in next)) {
          this.#waiting.shift();
          next.resolve();
          continue;
        }
        const found = await this.#read(next.sequence);
        this.#waiting.shift();
        if (found !== undefined) next.resolve(found);
        else next.reject(new UnknownOutcome(`entry ${next.index} left no outcome`));
      }
    } catch (error) {
      // The own store did not answer: the proposals stay, and the next applied entry asks again.
      this.#log.debug({ event: "control.gone" }, String(error));
    } finally {
      this.#resolving = false;
    }
  }

  /** The term is over: what is not applied may or may not be. */
  end(term: Term): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { index, reject } of waiting) {
      reject(new UnknownOutcome(`term ${term} ended before entry ${index}`));
    }
  }
}
