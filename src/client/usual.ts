/** What a kind of read usually takes: its 95th percentile, as it moves. */

/** Of the last rank: so many of a hundred answers come sooner. */
const RANK = 0.95;
/** How far one answer moves it. */
const STEP = 0.1;
/** Timers ring no finer, and on a machine without room a second question makes the first one slower. */
const LEAST_MS = 1;
/** Before anything is known. */
const FIRST_MS = 10;
/** Statements that are remembered; the one not asked for longest leaves. */
const KINDS = 256;

export class Usual {
  readonly #ms = new Map<string, number>();

  /** How long an answer may take before it takes unusually long. */
  limitMs(text: string): number {
    return Math.max(LEAST_MS, this.#ms.get(text) ?? FIRST_MS);
  }

  /** Each answer above moves it up 19 times as far as each below moves it down: it rests where 5 % are above. */
  learn(text: string, tookMs: number): void {
    const before = this.#ms.get(text);
    this.#ms.delete(text);
    const [oldest] = this.#ms.size >= KINDS ? this.#ms.keys() : [];
    if (oldest !== undefined) this.#ms.delete(oldest);
    this.#ms.set(text, before === undefined ? 2 * tookMs : next(before, tookMs));
  }
}

const next = (before: number, tookMs: number): number =>
  before * (tookMs > before ? 1 + STEP * RANK : 1 - STEP * (1 - RANK));
