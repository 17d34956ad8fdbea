/**
 * How much goes into one append. What users put into the log may be large: an append that cannot be over within its
 * limit would be sent again for ever, and hold up every decision behind it.
 */
import { bodyText, type Entry } from "../db/raft.ts";

export interface Limits {
  readonly entries: number;
  readonly bytes: number;
}

/** Of entries measured before: they are sent to every acceptor. */
const sizes = new WeakMap<Entry, number>();

/** The first of some entries: at least one, then up to the limits. */
export function firstBatch(entries: readonly Entry[], from: number, limits: Limits): Entry[] {
  const batch: Entry[] = [];
  let bytes = 0;
  for (let next = from; batch.length < limits.entries; next++) {
    const entry = entries[next];
    if (entry === undefined) break;
    bytes += sizeOf(entry);
    if (batch.length > 0 && bytes > limits.bytes) break;
    batch.push(entry);
  }
  return batch;
}

/** Of what it says, in bytes. */
export function sizeOf(entry: Entry): number {
  const known = sizes.get(entry);
  if (known !== undefined) return known;
  const size = Buffer.byteLength(bodyText(entry));
  sizes.set(entry, size);
  return size;
}
