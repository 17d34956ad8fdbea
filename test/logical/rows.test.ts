/** Rows of every shape are what the server sent, whatever the columns are called. */
import { expect, test } from "vitest";
import { Cursor } from "../../src/logical/cursor.ts";
import { type Column, type Relation, UNCHANGED } from "../../src/logical/events.ts";
import { RowReader } from "../../src/logical/tuple.ts";
import { mustRun } from "../support/programs.ts";

const NAMES = ["id", "__proto__", "constructor", '"]: (() => { throw 1 })() //', "\u2028\\", "7"];

const relationOf = (names: readonly string[]): Relation => ({
  relationId: 1,
  schema: "public",
  table: "t",
  replicaIdentity: "default",
  columns: names.map((name, index): Column => {
    return { name, typeId: 25, typeModifier: -1, key: index % 2 === 1 };
  }),
});

/** As pgoutput sends it. */
function tuple(values: readonly (string | null | undefined)[]): Buffer {
  const parts = values.map((value) => {
    if (value === null) return Buffer.from("n");
    if (value === undefined) return Buffer.from("u");
    const bytes = Buffer.from(value);
    const head = Buffer.from("t\0\0\0\0");
    head.writeInt32BE(bytes.length, 1);
    return Buffer.concat([head, bytes]);
  });
  return Buffer.concat([Buffer.from([0, values.length]), ...parts]);
}

const read = (how: "row" | "key", names: readonly string[], bytes: Buffer) =>
  new RowReader(relationOf(names), {})[how](new Cursor().begin(bytes, 0, bytes.length));

const VALUES = ["a", "b", null, undefined, "é", "f"];
const WHOLE = NAMES.map((name, index) => [name, index === 3 ? UNCHANGED : VALUES[index]]);

test("a column may have any name, and no name is run", () => {
  const row = read("row", NAMES, tuple(VALUES));
  expect(new Map(Object.entries(row))).toEqual(new Map(WHOLE as [string, unknown][]));
  expect(Object.getPrototypeOf(row)).toBe(Object.prototype);
});

test("of an old key only the columns of the replica identity are there", () => {
  const row = read("key", NAMES, tuple(VALUES));
  expect(new Map(Object.entries(row))).toEqual(
    new Map<string, unknown>([
      ["__proto__", "b"],
      [NAMES[3] ?? "", UNCHANGED],
      ["7", "f"],
    ]),
  );
});

test("a row of another number of columns is refused", () => {
  expect(() => read("row", ["id"], tuple(["1", "2"]))).toThrow(
    "a row of public.t has 2 columns, the table 1",
  );
});

test("rows are read where no code may be made of strings", async () => {
  const module = new URL("../../src/logical/", import.meta.url).pathname;
  const code = `
    import { Cursor } from ${JSON.stringify(`${module}cursor.ts`)};
    import { RowReader } from ${JSON.stringify(`${module}tuple.ts`)};
    const column = (name, key) => ({ name, typeId: 25, typeModifier: -1, key });
    const reader = new RowReader({ columns: [column("id", true), column("__proto__", false)] }, {});
    const bytes = Buffer.from(${JSON.stringify(tuple(["1", "x"]).toString("latin1"))}, "latin1");
    const read = (how) => Object.entries(reader[how](new Cursor().begin(bytes, 0, bytes.length)));
    console.log(JSON.stringify([read("row"), read("key")]));`;
  const flags = ["--disallow-code-generation-from-strings", "--input-type=module", "-e", code];
  const stdout = await mustRun(process.execPath, flags, { limitMs: 20_000 });
  expect(JSON.parse(stdout)).toEqual([
    [
      ["id", "1"],
      ["__proto__", "x"],
    ],
    [["id", "1"]],
  ]);
});
