/** raft.entry_hash: each entry's hash covers the one before it (H57). */
import { createHash } from "node:crypto";
import type { Entry } from "../../../src/db/raft.ts";

/** Of entries hashed before, by what they were hashed behind. */
const hashes = new WeakMap<Entry, { readonly before: string; readonly hash: string }>();

/** The hash of the last of some entries, in hexadecimal, behind one with this hash. */
export function chainHash(before: string, entries: readonly Entry[]): string {
  let hash = before;
  for (const entry of entries) {
    const known = hashes.get(entry);
    const previous = hash;
    hash = known?.before === previous ? known.hash : entryHash(previous, entry);
    if (hash !== known?.hash) hashes.set(entry, { before: previous, hash });
  }
  return hash;
}

function entryHash(before: string, { index, term, kind, client, sequence, body }: Entry): string {
  const text = [index, term, kind, client, sequence, jsonbText(body)].join("|");
  return createHash("sha256").update(before, "hex").update(text).digest("hex");
}

/** As PostgreSQL prints jsonb: keys by length and then by bytes, a space behind each colon and comma. */
export function jsonbText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(jsonbText).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const keys = Object.keys(value).filter((key) => value[key as keyof typeof value] !== undefined);
  keys.sort((a, b) => Buffer.byteLength(a) - Buffer.byteLength(b) || (a < b ? -1 : 1));
  const pairs = keys.map((key) => {
    return `${JSON.stringify(key)}: ${jsonbText(value[key as keyof typeof value])}`;
  });
  return `{${pairs.join(", ")}}`;
}
