import { beforeAll, describe, expect, test } from "vitest";
import { json } from "../../src/client/index.ts";
import { useOneServer } from "./servers.ts";

const { open, servers } = useOneServer();

beforeAll(async () => {
  await servers().all[0]?.sql(`create type mood as enum ('so so');
    create domain positive as int check (value > 0); create type pair as (a int, b text)`);
});

describe("types, both ways", () => {
  const cases: readonly [string, unknown, unknown][] = [
    ["bool", true, true],
    ["int2", -32768, -32768],
    ["int4", 2147483647, 2147483647],
    ["oid", 4294967295, 4294967295],
    ["int8", 2n ** 63n - 1n, 2n ** 63n - 1n],
    ["float4", 1.5, 1.5],
    ["float8", Number.NaN, Number.NaN],
    ["float8", -Infinity, -Infinity],
    ["numeric", "12345678901234567890.123456789", "12345678901234567890.123456789"],
    ["money", "$1,234.50", "$1,234.50"],
    ["text", "ä\u{1f600}'\"\\", "ä\u{1f600}'\"\\"],
    ["varchar", "", ""],
    ["name", "n", "n"],
    ['"char"', "a", "a"],
    ["xml", "<a/>", "<a/>"],
    ["uuid", "6f1ed002-ab5c-4b1c-9b0a-1a2b3c4d5e6f", "6f1ed002-ab5c-4b1c-9b0a-1a2b3c4d5e6f"],
    ["bytea", Buffer.from([0, 1, 39, 92, 255]), Buffer.from([0, 1, 39, 92, 255])],
    ["json", { a: [1, null] }, { a: [1, null] }],
    ["jsonb", json([1, "x"]), [1, "x"]],
    ["timestamptz", new Date(Date.UTC(2024, 1, 29, 12)), "2024-02-29T12:00:00.000000Z"],
    ["timestamptz", "2024-02-29 12:00:00.000001+02", "2024-02-29T10:00:00.000001Z"],
    ["timestamptz", "infinity", "infinity"],
    ["timestamp", "2024-02-29 12:00:00.999999", "2024-02-29T12:00:00.999999"],
    ["date", "2024-02-29", "2024-02-29"],
    ["time", "12:00:00.5", "12:00:00.5"],
    ["timetz", "12:00:00+02", "12:00:00+02:00"],
    ["interval", "1 day 02:03:04", "1 day 02:03:04"],
    ["pg_lsn", "16/B374D848", "16/B374D848"],
    ["bpchar", "ab ", "ab "],
    ["inet", "10.0.0.1/8", "10.0.0.1/8"],
    ["cidr", "10.0.0.0/8", "10.0.0.0/8"],
    ["macaddr", "08:00:2b:01:02:03", "08:00:2b:01:02:03"],
    ["mood", "so so", "so so"],
    ["mood[]", '{"so so",NULL}', '{"so so",NULL}'], // an OID of its own: text
    ["positive", 7, 7],
    ["pair", "(1,x)", "(1,x)"],
    ["tsvector", "'a':1", "'a':1"],
    ["bit(3)", "101", "101"],
    ["int4range", "[1,3)", "[1,3)"],
    ["int4[]", [1, null, 3], [1, null, 3]],
    ["int8[]", [[1n], [2n]], [[1n], [2n]]],
    ["text[]", ["", "NULL", 'a"b,{}'], ["", "NULL", 'a"b,{}']],
    ["bytea[]", [Buffer.from([1, 255])], [Buffer.from([1, 255])]],
    ["timestamptz[]", ["2024-01-01 00:00:00+00"], ["2024-01-01T00:00:00.000000Z"]],
    ["int4", null, null],
  ];
  test.each(cases)("%s %s", async (type, given, expected) => {
    const pool = open({ poolSize: 1 });
    const [row] = await pool.query<[unknown]>(`select $1::${type}`, [given], { rowMode: "array" });
    expect(row).toEqual([expected]);
  });

  test('"char" of any byte, and a time zone that is not UTC', async () => {
    const pool = open({ poolSize: 1 });
    const [row] = await pool.query<string[]>(
      `select 0::"char", 1::"char", '\\357'::"char", ''::"char"`,
      [],
      { rowMode: "array" },
    );
    expect(row).toEqual(["", "\u0001", "\\357", ""]); // a byte that is no ASCII is written in octal
    await pool.session(async (session) => {
      await session.query("set timezone = 'Asia/Kolkata'");
      const [at] = await session.query("select '2024-01-01 00:00:00.000001+00'::timestamptz as at");
      expect(at).toEqual({ at: "2024-01-01T00:00:00.000001Z" });
    });
  });
});
