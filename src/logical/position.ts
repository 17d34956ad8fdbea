/** The highest position of many, without a bigint for each: a frame's two halves are compared as numbers. */
import { uint32At } from "../replication/bytes.ts";
import { Lsn } from "./lsn.ts";
import { lsnOf } from "./wal-message.ts";

export class Highest {
  #high = 0;
  #low = 0;
  #lsn: Lsn | undefined = Lsn.ZERO;

  /** The position that stands at `at`. */
  raiseFrom(bytes: Buffer, at: number): void {
    this.#raise(uint32At(bytes, at), uint32At(bytes, at + 4));
  }

  raise(lsn: Lsn): void {
    this.#raise(Number(lsn >> 32n), Number(lsn & 0xffff_ffffn));
  }

  #raise(high: number, low: number): void {
    if (high < this.#high || (high === this.#high && low <= this.#low)) return;
    this.#high = high;
    this.#low = low;
    this.#lsn = undefined;
  }

  get lsn(): Lsn {
    this.#lsn ??= lsnOf(this.#high, this.#low);
    return this.#lsn;
  }
}
