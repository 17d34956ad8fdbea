/** Events as the consumer gets them: the end of a transaction only once the standbys have confirmed it. */
import type { FrameBuffer } from "./buffer.ts";
import type { Confirmed } from "./confirmed.ts";
import { EventReader } from "./event-reader.ts";
import type { ReplicationEvent } from "./events.ts";
import { Lsn } from "./lsn.ts";
import type { Settings } from "./options.ts";

export class Delivery {
  readonly #reader: EventReader;
  #confirmed: Confirmed | undefined;
  #held: { readonly event: ReplicationEvent; readonly end: Lsn } | undefined;
  /** The end of the last transaction that was handed out whole. */
  delivered: Lsn = Lsn.ZERO;

  constructor(settings: Settings) {
    this.#reader = new EventReader(settings);
  }

  get rowsDecoded(): number {
    return this.#reader.rowsDecoded;
  }
  /** The bound was reached and said: nothing more comes. */
  get finished(): boolean {
    return this.#reader.finished;
  }

  /** The end of a transaction was read and waits for the standbys. */
  get holds(): boolean {
    return this.#held !== undefined;
  }

  /** A session begins; without `confirmed` nothing is held back in it. */
  begin(startLsn: Lsn, confirmed: Confirmed | undefined): void {
    this.#confirmed = confirmed;
    this.#reader.begin(startLsn);
  }

  /** What was read and not handed out comes again, or never happened. */
  reset(): void {
    this.#held = undefined;
    this.#reader.reset();
  }

  next(buffer: FrameBuffer): ReplicationEvent | undefined {
    if (this.#held !== undefined) return this.#ended(this.#held.event, this.#held.end);
    const event = this.#reader.next(buffer);
    const end = this.#reader.justEnded;
    return event === undefined || end === undefined ? event : this.#ended(event, end);
  }

  #ended(event: ReplicationEvent, end: Lsn): ReplicationEvent | undefined {
    const waits = this.#confirmed?.covers(end) === false;
    this.#held = waits ? { event, end } : undefined;
    if (waits) return undefined;
    if (end > this.delivered) this.delivered = end;
    return event;
  }

  /** Between transactions, all that was read acknowledged by `applied`, and `walEnd` as safe as a commit there. */
  isIdleAt(walEnd: Lsn, applied: Lsn): boolean {
    if (!this.#reader.betweenTransactions || applied < this.#reader.lastEnd) return false;
    return this.#confirmed?.covers(walEnd) ?? true;
  }
}
