/** What flows within the copy: WAL data and keepalives from the server, status updates from us. */
import { int32At, uint32At } from "../replication/bytes.ts";
import { ProtocolError } from "../replication/errors.ts";
import { copyData } from "../replication/wire.ts";
import type { Keepalive } from "./events.ts";
import type { Lsn } from "./lsn.ts";

/** Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's time begins. */
export const PG_EPOCH_MICROS = 946_684_800_000_000;

const XLOG_DATA = 0x77;
const KEEPALIVE = 0x6b;
const STATUS_UPDATE = 0x72;
export const XLOG_HEADER_BYTES = 25;
const KEEPALIVE_BYTES = 18;
const STATUS_BYTES = 34;
const TWO_32 = 4_294_967_296;

/** Throws ProtocolError on anything but WAL data and keepalives, or on one that is too short. */
export function isKeepalive(bytes: Buffer, from = 0, end = bytes.length): boolean {
  const type = from < end ? bytes[from] : undefined;
  const needed = type === XLOG_DATA ? XLOG_HEADER_BYTES : KEEPALIVE_BYTES;
  if (type !== XLOG_DATA && type !== KEEPALIVE) {
    throw new ProtocolError(`unknown message ${type ?? "without a type"} in the stream`);
  }
  if (end - from < needed) {
    const what = type === XLOG_DATA ? "WAL data" : "keepalive";
    throw new ProtocolError(
      `${what} of ${end - from - 1} bytes, at least ${needed - 1} are needed`,
    );
  }
  return type === KEEPALIVE;
}

/** Where a position stands in both kinds of message; WAL data has its end after it. */
export const POSITION_AT = 1;
const END_AT = 9;

/** One bigint of two halves: a tenth of what `readBigUInt64BE` takes, and it is done for each row. */
const halves = new DataView(new ArrayBuffer(8));
export function lsnOf(high: number, low: number): Lsn {
  halves.setUint32(0, high);
  halves.setUint32(4, low);
  return halves.getBigUint64(0) as Lsn;
}

export function lsnAt(bytes: Buffer, at: number): Lsn {
  return lsnOf(uint32At(bytes, at), uint32At(bytes, at + 4));
}

/** Of a frame that begins at `from`, as in all that follow. */
export const walStartOf = (bytes: Buffer, from = 0): Lsn => lsnAt(bytes, from + POSITION_AT);
export const sentAtOf = (bytes: Buffer, from = 0): number => microsAt(bytes, from + 17);

/** Nearly always the same as the start, which may be given. */
export function walEndOf(bytes: Buffer, from = 0, walStart: Lsn = walStartOf(bytes, from)): Lsn {
  const high = uint32At(bytes, from + END_AT);
  const low = uint32At(bytes, from + END_AT + 4);
  const same =
    high === uint32At(bytes, from + POSITION_AT) && low === uint32At(bytes, from + POSITION_AT + 4);
  return same ? walStart : lsnOf(high, low);
}

/** Of a keepalive: the server wants an answer at once. */
export const wantsReply = (bytes: Buffer, from = 0): boolean => bytes[from + 17] === 1;

export function keepaliveOf(bytes: Buffer, from = 0): Keepalive {
  return {
    kind: "keepalive",
    walEnd: lsnAt(bytes, from + POSITION_AT),
    serverTimeMicros: microsAt(bytes, from + 9),
    replyRequested: wantsReply(bytes, from),
  };
}

/** A 64-bit time of the server; exact until the year 2255. */
export function microsAt(bytes: Buffer, at: number): number {
  return int32At(bytes, at) * TWO_32 + uint32At(bytes, at + 4) + PG_EPOCH_MICROS;
}

/** Now, in microseconds since 1970; for the server's display alone. */
export function wallMicros(): number {
  return (performance.timeOrigin + performance.now()) * 1000;
}

export interface Status {
  readonly written: bigint;
  readonly flushed: bigint;
  readonly applied: bigint;
  readonly nowMicros: number;
  readonly replyRequested: boolean;
}

/** A status update in its frame; 0/0 leaves the slot where it is. */
export function statusUpdate({
  written,
  flushed,
  applied,
  nowMicros,
  replyRequested,
}: Status): Buffer {
  const body = Buffer.alloc(STATUS_BYTES);
  body[0] = STATUS_UPDATE;
  body.writeBigUInt64BE(written, 1);
  body.writeBigUInt64BE(flushed, 9);
  body.writeBigUInt64BE(applied, 17);
  const micros = Math.round(nowMicros - PG_EPOCH_MICROS);
  body.writeInt32BE(Math.floor(micros / TWO_32), 25);
  body.writeUInt32BE(((micros % TWO_32) + TWO_32) % TWO_32, 29);
  body[33] = replyRequested ? 1 : 0;
  return copyData(body);
}
