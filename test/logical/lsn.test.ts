import { expect, test } from "vitest";
import { Lsn } from "../../src/logical/index.ts";
import { Random } from "../support/random.ts";
import { openBench } from "./bench.ts";

const SEED = process.env.SEED ?? String(Date.now() % 100_000);

test.each([
  ["0/0", 0n],
  ["16/B374D848", 0x16b374d848n],
  ["16/b374d848", 0x16b374d848n],
  ["00000016/0374D848", 0x160374d848n],
  ["FFFFFFFF/FFFFFFFF", 0xffff_ffff_ffff_ffffn],
])("%s is read", (text, value) => expect(Lsn.parse(text)).toBe(value));

test.each([
  ["", "missing '/'"],
  ["16", "missing '/'"],
  ["/1", "invalid high part"],
  ["1/", "invalid low part"],
  ["123456789/0", "invalid high part"],
  ["0/123456789", "invalid low part"],
  ["-1/0", "invalid high part"],
  ["0/+1", "invalid low part"],
  [" 1/0", "invalid high part"],
  ["1/0 ", "invalid low part"],
  ["1/2/3", "invalid low part"],
  ["0x1/0", "invalid high part"],
  ["g/0", "invalid high part"],
])("%j is refused: %s", (text, why) => {
  expect(() => Lsn.parse(text)).toThrow(`invalid LSN ${JSON.stringify(text)}: ${why}`);
});

test("it is printed as PostgreSQL prints it", () => {
  expect(Lsn.format(Lsn.ZERO)).toBe("0/0");
  expect(Lsn.format(0x16b374d848n)).toBe("16/B374D848");
  expect(Lsn.format(0x1_0000_000an)).toBe("1/A");
});

test("numbers beyond 64 bits are no positions", () => {
  expect(Lsn.from(7n)).toBe(7n);
  expect(() => Lsn.from(-1n)).toThrow(RangeError);
  expect(() => Lsn.from(1n << 64n)).toThrow(/18446744073709551616/);
});

test("positions compare as numbers, not as texts", () => {
  const sorted = ["A/0", "9/FF", "10/0"].map(Lsn.parse).sort(Lsn.compare).map(Lsn.format);
  expect(sorted).toEqual(["9/FF", "A/0", "10/0"]);
  expect(Lsn.compare(1n, 1n)).toBe(0);
});

test(`a million positions are the server's own texts, and come back, SEED=${SEED}`, {
  timeout: 60_000,
}, async () => {
  const random = new Random(SEED);
  const bench = await openBench(undefined);
  try {
    for (let batch = 0; batch < 10; batch += 1) {
      const lsns = Array.from({ length: 100_000 }, () => {
        const [high, low] = [random.int(0, 0xffff_ffff), random.int(0, 0xffff_ffff)];
        return (BigInt(high >>> random.int(0, 31)) << 32n) | BigInt(low >>> random.int(0, 31));
      });
      const list = await bench.server.value(
        `select string_agg(('0/0'::pg_lsn + n)::text, ' ' order by at)
           from unnest('{${lsns.join(",")}}'::numeric[]) with ordinality as x (n, at)`,
      );
      const texts = list.split(" ");
      expect(texts.map(Lsn.parse)).toEqual(lsns);
      expect(lsns.map((lsn) => Lsn.format(Lsn.from(lsn)))).toEqual(texts);
    }
  } finally {
    await bench.lab.close();
  }
});
