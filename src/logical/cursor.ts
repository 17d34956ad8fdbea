/** Reads one message of pgoutput. Running past its end is a ProtocolError, not a RangeError. */
import { ProtocolError } from "../replication/errors.ts";
import type { Lsn } from "./lsn.ts";
import { microsAt } from "./wal-message.ts";

export class Cursor {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  #take(count: number): number {
    const from = this.at;
    this.at = from + count;
    if (count < 0 || this.at > this.bytes.length)
      throw new ProtocolError("a message ends too early");
    return from;
  }
  byte(): number {
    return this.bytes[this.#take(1)] as number;
  }
  int16(): number {
    return this.bytes.readInt16BE(this.#take(2));
  }
  int32(): number {
    return this.bytes.readInt32BE(this.#take(4));
  }
  uint32(): number {
    return this.bytes.readUInt32BE(this.#take(4));
  }
  lsn(): Lsn {
    return this.bytes.readBigUInt64BE(this.#take(8)) as Lsn;
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
    return this.bytes.toString("utf8", from, from + length);
  }
  cstring(): string {
    const end = this.bytes.indexOf(0, this.at);
    if (end === -1) throw new ProtocolError("a text does not end");
    const text = this.bytes.toString("utf8", this.at, end);
    this.at = end + 1;
    return text;
  }
  get atEnd(): boolean {
    return this.at === this.bytes.length;
  }
}
