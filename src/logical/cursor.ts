/** Reads one message of pgoutput. Running past its end is a ProtocolError, not a RangeError. */
import { int16At, int32At, uint32At } from "../replication/bytes.ts";
import { ProtocolError } from "../replication/errors.ts";
import type { Lsn } from "./lsn.ts";
import { lsnAt, microsAt } from "./wal-message.ts";

/**
 * Up to this length an ASCII text is cut out of one string of many of them: a call into C++ for each takes several
 * times as long. V8 copies so short a piece; of a longer one it would keep the whole string alive.
 */
const SHORT = 12;
/** So much is made a string at a time, and only for a second short text within as much. */
const WINDOW_BYTES = 1024;

export class Cursor {
  bytes: Buffer = Buffer.alloc(0);
  /** Where the message begins, and what comes next of it. */
  from = 0;
  at = 0;
  end = 0;
  /** The bytes from `#windowAt` on, each as a letter. */
  #window = "";
  #windowAt = 0;
  /** Where the last short text outside the window stood. */
  #loneAt = Number.NEGATIVE_INFINITY;

  /** At the beginning of another message: what stands in `bytes` from `from` up to `end`. */
  begin(bytes: Buffer, from: number, end: number): this {
    if (bytes !== this.bytes) {
      this.#window = "";
      this.#loneAt = Number.NEGATIVE_INFINITY;
    }
    this.bytes = bytes;
    this.from = from;
    this.at = from;
    this.end = end;
    return this;
  }

  #take(count: number): number {
    const from = this.at;
    this.at = from + count;
    if (count < 0 || this.at > this.end) throw new ProtocolError("a message ends too early");
    return from;
  }
  skip(count: number): void {
    this.#take(count);
  }
  byte(): number {
    return this.bytes[this.#take(1)] as number;
  }
  int16(): number {
    return int16At(this.bytes, this.#take(2));
  }
  int32(): number {
    return int32At(this.bytes, this.#take(4));
  }
  uint32(): number {
    return uint32At(this.bytes, this.#take(4));
  }
  lsn(): Lsn {
    return lsnAt(this.bytes, this.#take(8));
  }
  micros(): number {
    return microsAt(this.bytes, this.#take(8));
  }
  /** Shares memory with the message. */
  slice(length: number): Buffer {
    const from = this.#take(length);
    return this.bytes.subarray(from, from + length);
  }
  text(length: number): string {
    const from = this.#take(length);
    if (length <= SHORT && this.#isAscii(from)) return this.#short(from);
    return this.bytes.toString("utf8", from, this.at);
  }
  #isAscii(from: number): boolean {
    for (let at = from; at < this.at; at += 1) if ((this.bytes[at] as number) >= 0x80) return false;
    return true;
  }
  #short(from: number): string {
    const inWindow = from >= this.#windowAt && this.at <= this.#windowAt + this.#window.length;
    if (!inWindow) {
      const alone = from - this.#loneAt > WINDOW_BYTES;
      this.#loneAt = from;
      if (alone) return this.bytes.toString("latin1", from, this.at);
      this.#window = this.bytes.toString("latin1", from, from + WINDOW_BYTES);
      this.#windowAt = from;
    }
    return this.#window.slice(from - this.#windowAt, this.at - this.#windowAt);
  }
  cstring(): string {
    const end = this.bytes.indexOf(0, this.at);
    if (end === -1 || end >= this.end) throw new ProtocolError("a text does not end");
    const text = this.bytes.toString("utf8", this.at, end);
    this.at = end + 1;
    return text;
  }
}
