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
