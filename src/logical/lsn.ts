/** A position in the write-ahead log, as a type of its own. */

import { formatLsn } from "../core/ids.ts";

declare const brand: unique symbol;

/** An unsigned 64-bit number of bytes. Monotonic, not dense: several messages may share one. */
export type Lsn = bigint & { readonly [brand]: "Lsn" };

const LARGEST = 0xffff_ffff_ffff_ffffn;
const PART = /^[0-9A-Fa-f]{1,8}$/;

/** `16/B374D848`, padded or not, upper or lower case. Throws Error on anything else. */
function parse(text: string): Lsn {
  const invalid = (why: string) => new Error(`invalid LSN ${JSON.stringify(text)}: ${why}`);
  const slash = text.indexOf("/");
  if (slash === -1) throw invalid("missing '/'");
  const [high, low] = [text.slice(0, slash), text.slice(slash + 1)];
  if (!PART.test(high)) throw invalid("invalid high part");
  if (!PART.test(low)) throw invalid("invalid low part");
  return ((BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)) as Lsn;
}

/** Throws RangeError beyond 64 bits. */
function from(value: bigint): Lsn {
  if (value >= 0n && value <= LARGEST) return value as Lsn;
  throw new RangeError(`invalid LSN ${value}: must be between 0 and 2^64 - 1`);
}

const compare = (a: bigint, b: bigint): -1 | 0 | 1 => (a < b ? -1 : a > b ? 1 : 0);

const max = (a: Lsn, b: Lsn): Lsn => (a > b ? a : b);

export const Lsn = { ZERO: 0n as Lsn, parse, format: formatLsn, from, compare, max };
