/** Proposals that somebody awaits: answered in order, once the own store has applied them. */
import type { LogIndex, Term } from "../core/ids.ts";
import type { OutcomeRow } from "../db/raft.ts";
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

type Numbers = { readonly first: bigint; readonly last: bigint };

const wantsOutcome = (one: WantsOutcome | WantsApplied): one is WantsOutcome => "sequence" in one;

export class Awaited {
  readonly #read: (numbers: Numbers) => Promise<OutcomeRow[]>;
  readonly #log: Log;
  #waiting: (WantsOutcome | WantsApplied)[] = [];
  #applied: LogIndex = 0n;
  #resolving = false;

  /** `read`: what the own store says became of proposals. */
  constructor(read: (numbers: Numbers) => Promise<OutcomeRow[]>, log: Log) {
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
        const ready = this.#ready();
        if (ready.length === 0) return;
        const found = await this.#outcomes(ready.filter(wantsOutcome));
        // The term may have ended meanwhile: then they have heard so.
        this.#waiting = this.#waiting.slice(ready.length);
        for (const one of ready) tell(one, found);
      }
    } catch (error) {
      // The own store did not answer: the proposals stay, and the next applied entry asks again.
      this.#log.debug({ event: "control.gone" }, String(error));
    } finally {
      this.#resolving = false;
    }
  }

  /** Those at the front that are applied. */
  #ready(): (WantsOutcome | WantsApplied)[] {
    const end = this.#waiting.findIndex(({ index }) => index > this.#applied);
    return this.#waiting.slice(0, end === -1 ? undefined : end);
  }

  /** One question for all of them. */
  async #outcomes(of: readonly WantsOutcome[]): Promise<ReadonlyMap<bigint, Outcome>> {
    if (of.length === 0) return new Map();
    const numbers = of.map(({ sequence }) => sequence);
    const first = numbers.reduce((a, b) => (a < b ? a : b));
    const last = numbers.reduce((a, b) => (a > b ? a : b));
    const rows = await this.#read({ first, last });
    return new Map(
      rows.map((row) => [row.sequence, { index: row.log_index, outcome: row.outcome }]),
    );
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

function tell(one: WantsOutcome | WantsApplied, found: ReadonlyMap<bigint, Outcome>): void {
  if (!wantsOutcome(one)) {
    one.resolve();
    return;
  }
  const outcome = found.get(one.sequence);
  if (outcome !== undefined) one.resolve(outcome);
  else one.reject(new UnknownOutcome(`entry ${one.index} left no outcome`));
}
