import { describe, expect, test } from "vitest";
import { encode, insertText, json } from "../../src/client/params.ts";
import { isoTimestamp, isoTimeWithZone } from "../../src/client/timestamps.ts";
import { parseArray, typeMaps } from "../../src/client/types.ts";

test.each([
  ["2024-02-29 23:59:59.123456+00", "2024-02-29T23:59:59.123456Z"],
  ["2024-03-01 01:29:59.1+05:30", "2024-02-29T19:59:59.100000Z"],
  ["2023-12-31 20:00:00-04", "2024-01-01T00:00:00.000000Z"],
  ["1883-11-18 12:03:58-04:56:02", "1883-11-18T17:00:00.000000Z"],
  ["0044-03-15 12:00:00+00 BC", "-000043-03-15T12:00:00.000000Z"],
  ["294276-12-31 23:59:59.999999+00", "+294276-12-31T23:59:59.999999Z"],
  ["2024-02-29 12:00:00", "2024-02-29T12:00:00.000000"],
  ["2024-02-29", "2024-02-29"],
  ["0001-01-01 BC", "0000-01-01"],
  ["infinity", "infinity"],
  ["-infinity", "-infinity"],
])("%s is %s", (text, iso) => {
  expect(isoTimestamp(text)).toBe(iso);
});

test("every day of four centuries comes back as the date it was", () => {
  for (let days = -146_097; days < 146_097; days += 61) {
    const date = new Date(days * 86_400_000).toISOString().slice(0, 10);
    const text = isoTimestamp(`${date} 00:00:00+00`);
    expect(text).toBe(`${date}T00:00:00.000000Z`);
  }
});

test("a time with a zone gets its minutes", () => {
  expect(isoTimeWithZone("12:00:00+02")).toBe("12:00:00+02:00");
  expect(isoTimeWithZone("12:00:00-03:30")).toBe("12:00:00-03:30");
});

describe("arrays", () => {
  const text = (value: string) => value;
  test.each([
    ["{}", []],
    ["{a,NULL,b}", ["a", null, "b"]],
    ['{"NULL","a,b","q\\"uote","back\\\\slash",""}', ["NULL", "a,b", 'q"uote', "back\\slash", ""]],
    [
      "{{1,2},{3,4}}",
      [
        ["1", "2"],
        ["3", "4"],
      ],
    ],
    ["[0:1]={a,b}", ["a", "b"]],
    ["[2:2][-1:0]={{x,y}}", [["x", "y"]]],
  ])("%s", (given, expected) => {
    expect(parseArray(given, text)).toEqual(expected);
  });
});

describe("types", () => {
  const maps = typeMaps({ 23: (text) => `own ${text}` });
  const js = (oid: number, text: string) => maps.object.getTypeParser(oid)(text);
  const asJson = (oid: number, text: string) => maps.json.getTypeParser(oid)(text);

  test("numbers that JSON cannot hold are text there, and whole here", () => {
    expect([js(20, "9007199254740993"), asJson(20, "9007199254740993")]).toEqual([
      9007199254740993n,
      "9007199254740993",
    ]);
    expect(asJson(20, "42")).toBe(42);
    expect([js(701, "NaN"), js(701, "-Infinity")]).toEqual([Number.NaN, -Infinity]);
    expect([asJson(701, "NaN"), asJson(700, "Infinity")]).toEqual(["NaN", "Infinity"]);
    expect([js(1700, "1.10"), js(790, "$1.10")]).toEqual(["1.10", "$1.10"]);
  });

  test("bytes, in both of the server's ways", () => {
    expect(js(17, "\\x00ff61")).toEqual(Buffer.from([0, 255, 97]));
    expect(js(17, "a\\\\\\377")).toEqual(Buffer.from([97, 92, 255]));
    expect(asJson(17, "\\x00ff61")).toBe("AP9h");
  });

  test("an OID nobody knows is text, an own parser counts in every mode and in arrays", () => {
    expect(js(999_999, "[1,2)")).toBe("[1,2)");
    expect([js(23, "1"), asJson(23, "1"), js(1007, "{1,2}")]).toEqual([
      "own 1",
      "own 1",
      ["own 1", "own 2"],
    ]);
  });
});

describe("parameters", () => {
  test.each([
    [null, null],
    [true, "t"],
    [1.5, "1.5"],
    [10n ** 20n, "100000000000000000000"],
    [new Date(Date.UTC(2024, 0, 1)), "2024-01-01T00:00:00.000Z"],
    [new Date(Date.UTC(-43, 2, 15)), "0044-03-15T00:00:00.000+00 BC"],
    [{ a: [1] }, '{"a":[1]}'],
    [[1, null, 'a"b', ["x"]], '{"1",NULL,"a\\"b",{"x"}}'],
    [[Buffer.from([1, 255])], '{"\\\\x01ff"}'],
    [json([1, "a"]), '[1,"a"]'],
  ])("%s", (value, wire) => {
    expect(encode(value, "$1")).toEqual(wire);
  });

  test("undefined and functions are refused, by number", () => {
    expect(() => encode(undefined, "parameter $2")).toThrow(/parameter \$2: undefined/);
    expect(() => encode(() => 1, "parameter $1")).toThrow(/parameter \$1: function/);
    expect(() => encode(new Date(Number.NaN), "parameter $1")).toThrow(/invalid Date/);
  });

  test("identifiers are quoted, values never in the text", () => {
    expect(insertText('s.odd"table', ["a", 'b"c'], ["_id"])).toBe(
      'insert into "s"."odd""table" ("a", "b""c") values ($1, $2) on conflict ("_id") do nothing returning *',
    );
    expect(insertText("t", ["a"], [])).toBe('insert into "t" ("a") values ($1) returning *');
  });
});
