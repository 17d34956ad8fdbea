/** Where a WAL record ends: after a clean stop, the end of the shutdown checkpoint is the end of the history. */
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { Lsn } from "../core/ids.ts";
import { readControlFile } from "../postgres/control-file.ts";

/** `--with-wal-blocksize` aside, which nobody's packages change. */
const PAGE_BYTES = 8192n;
const PAGE_HEADER = 24n;
const LONG_PAGE_HEADER = 40n;

/** End of the last checkpoint record of a server that was shut down cleanly. Throws when it was not. */
export async function shutdownEnd(dataDir: string): Promise<Lsn> {
  const { state, checkpointLsn, timeline, walSegmentBytes } = await readControlFile(dataDir);
  if (state !== "shut_down") throw new Error(`the server was left ${state}, not shut down`);
  const segmentBytes = BigInt(walSegmentBytes);
  const name = segmentName(timeline, checkpointLsn, segmentBytes);
  const file = await open(join(dataDir, "pg_wal", name), "r");
  try {
    // A record begins with its length; aligned to 8 bytes, the length never crosses a page.
    const head = Buffer.alloc(4);
    await file.read(head, 0, 4, Number(checkpointLsn % segmentBytes));
    return recordEnd(checkpointLsn, head.readUInt32LE(0), segmentBytes);
  } finally {
    await file.close();
  }
}

/** A record's header (24 bytes) and the short one of its only data block (2) stand before a checkpoint's redo. */
const BEFORE_REDO = 26n;

/** Where recovery from this checkpoint begins; `checkpointLsn` is where its record begins. */
export async function redoOf(
  dataDir: string,
  { timeline, checkpointLsn }: { readonly timeline: number; readonly checkpointLsn: Lsn },
): Promise<Lsn> {
  const segmentBytes = BigInt((await readControlFile(dataDir)).walSegmentBytes);
  const redo = Buffer.alloc(8);
  // Byte by byte: a page, or a segment, may end within.
  for (let byte = 0; byte < redo.length; byte += 1) {
    const at = skipBytes(checkpointLsn, BEFORE_REDO + BigInt(byte), segmentBytes);
    const name = segmentName(timeline, at, segmentBytes);
    const file = await open(join(dataDir, "pg_wal", name), "r");
    try {
      await file.read(redo, byte, 1, Number(at % segmentBytes));
    } finally {
      await file.close();
    }
  }
  return redo.readBigUInt64LE();
}

/** The position of a record's byte number `count`, page headers on the way included. */
function skipBytes(start: Lsn, count: bigint, segmentBytes: bigint): Lsn {
  let at = start;
  let left = count;
  for (;;) {
    const room = PAGE_BYTES - (at % PAGE_BYTES);
    if (left < room) return at + left;
    left -= room;
    at += room;
    at += at % segmentBytes === 0n ? LONG_PAGE_HEADER : PAGE_HEADER;
  }
}

/** The position after a record of `length` bytes that begins at `start`, page headers on its way included. */
export function recordEnd(start: Lsn, length: number, segmentBytes: bigint): Lsn {
  let at = start;
  let left = BigInt(length);
  for (;;) {
    const room = PAGE_BYTES - (at % PAGE_BYTES);
    if (left <= room) return align(at + left);
    left -= room;
    at += room;
    at += at % segmentBytes === 0n ? LONG_PAGE_HEADER : PAGE_HEADER;
  }
}

function align(lsn: Lsn): Lsn {
  return (lsn + 7n) & ~7n;
}

export function segmentName(timeline: number, lsn: Lsn, segmentBytes: bigint): string {
  const hex = (value: bigint) => value.toString(16).toUpperCase().padStart(8, "0");
  const number = lsn / segmentBytes;
  const perFile = 0x100000000n / segmentBytes;
  return hex(BigInt(timeline)) + hex(number / perFile) + hex(number % perFile);
}
