/**
 * Read `global/pg_control` without a program: who this cluster is, how it was left, where its WAL
 * ended.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Lsn } from "../core/ids.ts";

/** In PostgreSQL's own order: the number in the file is the index here. */
const STATES = [
  "starting_up",
  "shut_down",
  "shut_down_in_recovery",
  "shutting_down",
  "in_crash_recovery",
  "in_archive_recovery",
  "in_production",
] as const;

export type ControlState = (typeof STATES)[number];

export interface ControlFile {
  readonly systemIdentifier: string;
  readonly controlVersion: number;
  readonly catalogVersion: number;
  readonly state: ControlState;
  /** Of the latest checkpoint record; after a clean stop the end of this server's history. */
  readonly checkpointLsn: Lsn;
  readonly redoLsn: Lsn;
  /** Of the latest checkpoint: behind the truth right after a promotion (H03). */
  readonly timeline: number;
  readonly previousTimeline: number;
  /** How far recovery must go before the server may open; 0 when it was primary. */
  readonly minRecoveryLsn: Lsn;
  readonly minRecoveryTimeline: number;
  readonly checksums: boolean;
  readonly walSegmentBytes: number;
}

export class ControlFileUnreadable extends Error {
  override readonly name = "ControlFileUnreadable";
}

/**
 * Where the checksum stands, by layout: 1300 is PostgreSQL 13 to 16, 1700 is 17, 1800 is 18. All
 * that is read below stands at the same place in all of them.
 */
const CHECKSUM_AT = new Map([
  [1300, 288],
  [1700, 288],
  [1800, 292],
]);
const FLOAT_FORMAT = 1234567;
const TRIES = 10;

/**
 * Throws `ControlFileUnreadable` on an unknown layout or a wrong checksum. A running server may be
 * writing the file at this moment: a wrong checksum is read again, at most ten times.
 */
export async function readControlFile(dataDir: string): Promise<ControlFile> {
  const path = join(dataDir, "global", "pg_control");
  for (let tries = 1; ; tries += 1) {
    const bytes = await readFile(path);
    const wrong = problemOf(bytes);
    if (wrong === undefined) return parse(bytes);
    if (tries === TRIES) throw new ControlFileUnreadable(`${path}: ${wrong}`);
  }
}

function problemOf(bytes: Buffer): string | undefined {
  if (bytes.length < 296) return `only ${bytes.length} bytes`;
  const version = bytes.readUInt32LE(8);
  const checksumAt = CHECKSUM_AT.get(version);
  if (checksumAt === undefined) return `layout ${version} is unknown: PostgreSQL 15 to 18 expected`;
  const expected = bytes.readUInt32LE(checksumAt);
  if (crc32c(bytes.subarray(0, checksumAt)) !== expected) return "the checksum does not match";
  if (bytes.readDoubleLE(208) !== FLOAT_FORMAT) return "written on another kind of machine";
  if (STATES[bytes.readUInt32LE(16)] === undefined) return `state ${bytes.readUInt32LE(16)}`;
  return undefined;
}

function parse(bytes: Buffer): ControlFile {
  return {
    systemIdentifier: bytes.readBigUInt64LE(0).toString(),
    controlVersion: bytes.readUInt32LE(8),
    catalogVersion: bytes.readUInt32LE(12),
    state: STATES[bytes.readUInt32LE(16)] as ControlState,
    checkpointLsn: bytes.readBigUInt64LE(32),
    redoLsn: bytes.readBigUInt64LE(40),
    timeline: bytes.readUInt32LE(48),
    previousTimeline: bytes.readUInt32LE(52),
    minRecoveryLsn: bytes.readBigUInt64LE(136),
    minRecoveryTimeline: bytes.readUInt32LE(144),
    checksums: bytes.readUInt32LE(252) !== 0,
    walSegmentBytes: bytes.readUInt32LE(228),
  };
}

/**
 * CRC-32C (Castagnoli), as PostgreSQL computes it, bit by bit: 300 bytes do not ask for a table.
 */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
