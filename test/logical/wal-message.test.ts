import { expect, test } from "vitest";
import { PG_EPOCH_MICROS } from "../../src/logical/index.ts";
import {
  isKeepalive,
  keepaliveOf,
  microsAt,
  sentAtOf,
  statusUpdate,
  walEndOf,
  walStartOf,
  wantsReply,
} from "../../src/logical/wal-message.ts";
import { ProtocolError } from "../../src/replication/errors.ts";

const int64 = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
};
const frame = (type: string, ...parts: readonly Uint8Array[]) =>
  Buffer.concat([Buffer.from(type), ...parts]);

test("WAL data: where it begins, where the server's WAL ends, when it was sent", () => {
  const data = frame("w", int64(0x16b374d848n), int64(0x16b374d900n), int64(1n), Buffer.from("B"));
  expect(isKeepalive(data)).toBe(false);
  expect(walStartOf(data)).toBe(0x16b374d848n);
  expect(walEndOf(data)).toBe(0x16b374d900n);
  expect(sentAtOf(data)).toBe(PG_EPOCH_MICROS + 1);
});

test("a keepalive: its position stands where that of WAL data stands", () => {
  const quiet = frame("k", int64(7n), int64(0n), Buffer.from([0]));
  const asking = frame("k", int64(7n), int64(0n), Buffer.from([1]));
  expect([isKeepalive(quiet), wantsReply(quiet), wantsReply(asking)]).toEqual([true, false, true]);
  expect(walStartOf(quiet)).toBe(7n);
  expect(keepaliveOf(asking)).toEqual({
    kind: "keepalive",
    walEnd: 7n,
    serverTimeMicros: PG_EPOCH_MICROS,
    replyRequested: true,
  });
});

test.each([
  [
    "WAL data of 23 bytes",
    Buffer.concat([Buffer.from("w"), Buffer.alloc(23)]),
    /WAL data of 23 bytes, at least 24/,
  ],
  [
    "a keepalive of 16 bytes",
    Buffer.concat([Buffer.from("k"), Buffer.alloc(16)]),
    /keepalive of 16 bytes, at least 17/,
  ],
  ["an unknown kind", Buffer.concat([Buffer.from("z"), Buffer.alloc(40)]), /unknown message 122/],
  ["nothing at all", Buffer.alloc(0), /without a type/],
])("%s is a protocol error", (_, bytes, message) => {
  expect(() => isKeepalive(bytes)).toThrow(ProtocolError);
  expect(() => isKeepalive(bytes)).toThrow(message);
});

test("a status update has 34 bytes, in the order the server reads them", () => {
  const bytes = statusUpdate({
    written: 3n,
    flushed: 2n,
    applied: 1n,
    nowMicros: PG_EPOCH_MICROS + 5,
    replyRequested: true,
  });
  const body = Buffer.concat([
    Buffer.from("r"),
    int64(3n),
    int64(2n),
    int64(1n),
    int64(5n),
    Buffer.from([1]),
  ]);
  expect(body).toHaveLength(34);
  expect(bytes).toEqual(Buffer.concat([Buffer.from("d"), Buffer.from([0, 0, 0, 38]), body]));
});

test.each([0, 1, 4_294_967_295, 4_294_967_296, 800_000_000_000_123, -1, -4_294_967_297])(
  "%i microseconds make the round trip",
  (micros) => {
    const sent = statusUpdate({
      written: 0n,
      flushed: 0n,
      applied: 0n,
      nowMicros: PG_EPOCH_MICROS + micros,
      replyRequested: false,
    });
    expect(sent.readBigInt64BE(5 + 25)).toBe(BigInt(micros));
    expect(microsAt(sent, 5 + 25)).toBe(PG_EPOCH_MICROS + micros);
  },
);
