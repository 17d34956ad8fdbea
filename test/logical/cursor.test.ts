/** What is read by a short way is what the long way reads. */
import { expect, test } from "vitest";
import { Cursor } from "../../src/logical/cursor.ts";
import { Highest } from "../../src/logical/position.ts";
import { lsnAt, walEndOf, walStartOf } from "../../src/logical/wal-message.ts";
import { Random } from "../support/random.ts";

const SEED = process.env.SEED ?? String(Date.now() % 100_000);

test(`texts of every length and alphabet are read as UTF-8, SEED=${SEED}`, () => {
  const random = new Random(SEED);
  const letters = [..."aZ09 \u007f", "\u0080", "é", "ß", "€", "語", "🐘", "\u0000"];
  for (let turn = 0; turn < 2000; turn += 1) {
    const text = Array.from({ length: random.int(0, 16) }, () => random.pick(letters)).join("");
    const bytes = Buffer.from(`<${text}>`);
    const cursor = new Cursor().begin(bytes, 1, bytes.length);
    expect(cursor.text(bytes.length - 2)).toBe(text);
    expect(cursor.at).toBe(bytes.length - 1);
  }
});

test(`texts that arrived together, short and long, are read each for itself, SEED=${SEED}`, () => {
  const random = new Random(SEED);
  const texts = Array.from({ length: 5000 }, () => {
    const text = random.pick(["0123456789ab", "語ß", "x".repeat(700), "café", "y".repeat(13)]);
    return random.chance(0.1) ? text : text.slice(0, random.int(0, 12));
  });
  const parts = texts.map((text) => Buffer.from(text));
  const halves = [0, 2500].map((at) => Buffer.concat(parts.slice(at, at + 2500)));
  const cursor = new Cursor();
  for (const [half, bytes] of halves.entries()) {
    let from = 0;
    for (const [index, part] of parts.slice(half * 2500, half * 2500 + 2500).entries()) {
      const text = cursor.begin(bytes, from, from + part.length).text(part.length);
      expect(text).toBe(texts[half * 2500 + index]);
      from += part.length;
    }
  }
});

test("bytes that are no UTF-8 are read as Buffer reads them", () => {
  const bytes = Buffer.from([0x61, 0xff, 0xc3, 0x62]);
  expect(new Cursor().begin(bytes, 0, 4).text(4)).toBe(bytes.toString());
});

test("a text longer than its message is refused", () => {
  expect(() => new Cursor().begin(Buffer.from("abcd"), 0, 3).text(4)).toThrow(
    "a message ends too early",
  );
});

test(`positions are read whole, and the highest is kept, SEED=${SEED}`, () => {
  const random = new Random(SEED);
  const highest = new Highest();
  let expected = 0n;
  for (let turn = 0; turn < 2000; turn += 1) {
    const frame = Buffer.alloc(25);
    for (let at = 0; at < 17; at += 1) frame[at] = random.pick([0, 1, 0x7f, 0x80, 0xff]);
    if (random.chance(0.5)) frame.copy(frame, 9, 1, 9);
    expect(lsnAt(frame, 1)).toBe(frame.readBigUInt64BE(1));
    expect(walEndOf(frame, 0, walStartOf(frame))).toBe(frame.readBigUInt64BE(9));
    // Small ones first, so that it rises many times.
    frame.writeBigUInt64BE(frame.readBigUInt64BE(1) >> BigInt(Math.max(0, 60 - turn)), 1);
    highest.raiseFrom(frame, 1);
    if (frame.readBigUInt64BE(1) > expected) expected = frame.readBigUInt64BE(1);
    expect(highest.lsn).toBe(expected);
  }
});
