/** Reads one message of pgoutput. Running past its end is a ProtocolError, not a RangeError. */
import { ProtocolError } from "../replication/errors.ts";
import type { Lsn } from "./lsn.ts";
import { lsnAt, microsAt } from "./wal-message.ts";

/** Up to this length text is put together here: what the call into C++ takes is longer than the work. */
const SHORT = 12;

export class Cursor {
  bytes: Buffer = Buffer.alloc(0);
  at = 0;

  /** Of another message, from here on. */
  begin(bytes: Buffer, at: number): this {
    this.bytes = bytes;
    this.at = at;
    return this;
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
    return length <= SHORT ? this.#short(from) : this.bytes.toString("utf8", from, this.at);
  }
  #short(from: number): string {
    let text = "";
    for (let at = from; at < this.at; at += 1) {
      const byte = this.bytes[at] as number;
      if (byte >= 0x80) return this.bytes.toString("utf8", from, this.at);
      text += String.fromCharCode(byte);
    }
    return text;
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
