/** Where a WAL record ends, page headers counted. */
import { expect, test } from "vitest";
import { recordEnd, segmentName } from "../../src/agent/wal-end.ts";

const SEGMENT = 16n * 1024n * 1024n;

test.each([
  { why: "inside a page", start: 0x3000028n, length: 114, end: 0x30000a0n },
  { why: "up to the last byte of a page", start: 0x3001f88n, length: 114, end: 0x3002000n },
  { why: "across a page", start: 0x3001fc0n, length: 114, end: 0x3002050n },
  { why: "across a segment", start: 0x3ffffc0n, length: 114, end: 0x4000060n },
  { why: "over more than one page", start: 0x3001f00n, length: 9000, end: 0x3004258n },
])("a record $why", ({ start, length, end }) => {
  expect(recordEnd(start, length, SEGMENT).toString(16)).toBe(end.toString(16));
});

test("segments are named by timeline and position", () => {
  expect(segmentName(5, 0x1_12345678n, SEGMENT)).toBe("000000050000000100000012");
  expect(segmentName(1, 0x1_12345678n, 1024n * 1024n)).toBe("000000010000000100000123");
});
