/** Frames to events, and where a bounded replay ends. */
import type { FrameBuffer } from "./buffer.ts";
import { Cursor } from "./cursor.ts";
import type { ReplicationEvent, StoppedAt, WalEvent, XLogData } from "./events.ts";
import { Lsn } from "./lsn.ts";
import type { Settings } from "./options.ts";
import { PgOutput } from "./pgoutput.ts";
import {
  isKeepalive,
  keepaliveOf,
  sentAtOf,
  walEndOf,
  walStartOf,
  XLOG_HEADER_BYTES,
} from "./wal-message.ts";

/** Messages that begin or end something: these are read in raw mode too. */
const BOUNDARIES = new Set([..."BCSEcbPKrp"].map((type) => type.charCodeAt(0)));
const [INSERT, UPDATE, DELETE] = [..."IUD"].map((type) => type.charCodeAt(0));

export class EventReader {
  readonly #raw: boolean;
  readonly #stopAt: Lsn | undefined;
  readonly #output: PgOutput;
  readonly #cursor = new Cursor();
  #reached: Lsn | undefined;
  /** The bound was reached and said: nothing more comes. */
  finished = false;
  /** The end of the last transaction that was read in this session. */
  lastEnd: Lsn = Lsn.ZERO;
  /** The end of the transaction that the last event ended, if it ended one. */
  justEnded: Lsn | undefined;
  rowsDecoded = 0;

  constructor({ decode, stopAtLsn, types, streaming }: Settings) {
    this.#raw = decode === "raw";
    this.#stopAt = stopAtLsn;
    this.#output = new PgOutput(types, streaming === "parallel");
  }

  /** A session begins here: at or past the bound there is nothing to deliver. */
  begin(startLsn: Lsn): void {
    if (this.#stopAt !== undefined && this.#stopAt <= startLsn) this.#reached = startLsn;
  }

  reset(): void {
    this.#output.reset();
    this.lastEnd = Lsn.ZERO;
    this.#reached = undefined;
  }

  get betweenTransactions(): boolean {
    return this.#output.betweenTransactions;
  }

  next(buffer: FrameBuffer): ReplicationEvent | undefined {
    this.justEnded = undefined;
    if (this.finished) return undefined;
    if (this.#reached !== undefined) return this.#finish(this.#reached);
    const cursor = this.#cursor;
    if (!buffer.take(cursor)) return undefined;
    const { bytes, from, end } = cursor;
    return isKeepalive(bytes, from, end) ? this.#keepalive(cursor) : this.#wal(cursor);
  }

  #finish(reached: Lsn): StoppedAt {
    this.finished = true;
    return { kind: "stoppedAt", reached };
  }

  #keepalive({ bytes, from }: Cursor): ReplicationEvent {
    const event = keepaliveOf(bytes, from);
    const passed = this.#stopAt !== undefined && event.walEnd >= this.#stopAt;
    return passed && this.#output.betweenTransactions ? this.#finish(event.walEnd) : event;
  }

  #wal(cursor: Cursor): WalEvent | XLogData {
    const { bytes, from, end } = cursor;
    const type = bytes[from + XLOG_HEADER_BYTES] as number;
    if (!this.#raw) {
      const event = this.#output.decode(cursor);
      if (type !== INSERT && type !== UPDATE && type !== DELETE) return this.#passed(event);
      this.rowsDecoded += 1;
      return event;
    }
    if (BOUNDARIES.has(type)) this.#passed(this.#output.decode(cursor));
    const walStart = walStartOf(bytes, from);
    return {
      kind: "xlogData",
      walStart,
      walEnd: walEndOf(bytes, from, walStart),
      serverTimeMicros: sentAtOf(bytes, from),
      data: bytes.subarray(from + XLOG_HEADER_BYTES, end),
    };
  }

  /** The transaction that reaches the bound is delivered whole before the end. */
  #passed(event: WalEvent): WalEvent {
    if ("endLsn" in event && event.kind !== "beginPrepare") {
      this.justEnded = event.endLsn;
      if (event.endLsn > this.lastEnd) this.lastEnd = event.endLsn;
      if (this.#stopAt !== undefined && event.endLsn >= this.#stopAt) this.#reached = event.endLsn;
    }
    return event;
  }
}
