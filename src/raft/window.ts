/**
 * The newest entries of a leader's term, in memory: all that the own store does not hold yet, and of the others as many
 * as those that lag a little may need soon. What is not here is read from the own store.
 */
import type { LogIndex, Term } from "../core/ids.ts";
import type { Entry } from "../db/raft.ts";
import { firstBatch, type Limits, sizeOf } from "./batch.ts";

/** Entries to send, and the term of the one before them. */
export interface Batch {
  readonly entries: readonly Entry[];
  readonly prevTerm: Term;
}

/** However much of the log is kept. */
const MOST: Limits = { entries: 4096, bytes: 8_000_000 };

export class Window {
  readonly #term: Term;
  readonly #firstOfTerm: LogIndex;
  /** Of the last entry before the term. */
  readonly #termBefore: Term;
  readonly #limits: Limits;
  #entries: Entry[] = [];
  #bytes = 0;
  #start: LogIndex;

  constructor(
    term: Term,
    last: { readonly lastIndex: LogIndex; readonly lastTerm: Term },
    keep: { readonly maxLogEntries: number; readonly maxLogBytes: number },
  ) {
    this.#term = term;
    this.#firstOfTerm = last.lastIndex + 1n;
    this.#termBefore = last.lastTerm;
    this.#start = this.#firstOfTerm;
    this.#limits = {
      entries: Math.min(keep.maxLogEntries, MOST.entries),
      bytes: Math.min(keep.maxLogBytes, MOST.bytes),
    };
  }

  /** The first index that is not only in the own store. */
  get start(): LogIndex {
    return this.#start;
  }

  get lastIndex(): LogIndex {
    return this.#start + BigInt(this.#entries.length) - 1n;
  }

  push(entry: Omit<Entry, "index" | "term">): LogIndex {
    const index = this.lastIndex + 1n;
    const whole = { ...entry, index, term: this.#term };
    this.#entries.push(whole);
    this.#bytes += sizeOf(whole);
    return index;
  }

  /** Entries from `next` on; undefined when they are not here any more. */
  from(next: LogIndex, limits: Limits): Batch | undefined {
    const offset = Number(next - this.#start);
    if (offset < 0) return undefined;
    const entries = firstBatch(this.#entries, offset, limits);
    return { entries, prevTerm: next === this.#firstOfTerm ? this.#termBefore : this.#term };
  }

  /** What nobody lacks need not be here; what the own store holds neither, when it is too much. */
  trim({ everywhere, own }: { readonly everywhere: LogIndex; readonly own: LogIndex }): void {
    let drop = 0;
    for (const entry of this.#entries) {
      const few = this.#entries.length - drop <= this.#limits.entries;
      const held = few && this.#bytes <= this.#limits.bytes ? everywhere : own;
      if (entry.index > held) break;
      this.#bytes -= sizeOf(entry);
      drop += 1;
    }
    if (drop === 0) return;
    this.#entries = this.#entries.slice(drop);
    this.#start += BigInt(drop);
  }
}
