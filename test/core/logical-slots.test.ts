/** A copied slot is used only when every promise a slot makes is proved of the copy (H45). */
import { expect, test } from "vitest";
import {
  copyable,
  distrust,
  type Evidence,
  type LogicalSlot,
} from "../../src/core/logical-slots.ts";

const slot = (part: Partial<LogicalSlot> = {}): LogicalSlot => ({
  name: "s",
  database: "shop",
  active: false,
  lost: false,
  catalog_xmin: 700,
  restart_lsn: 0x100n,
  confirmed_lsn: 0x200n,
  ...part,
});
const proved: Evidence = {
  keptXmin: 700,
  theirs: slot({ active: true }),
  own: slot(),
  replayed: 0x200n,
  decoded: true,
};

test("the copy of a slot whose rows the primary keeps may be used", () => {
  expect(distrust(proved)).toBe(undefined);
  expect(distrust({ ...proved, own: slot({ catalog_xmin: 710 }) })).toBe(undefined);
});

test.each<[string, Partial<Evidence>]>([
  ["the primary keeps nothing for this standby", { keptXmin: null }],
  ["the primary keeps only younger rows", { keptXmin: 701 }],
  [
    "the primary's slot had let go of rows that the copy needs",
    { theirs: slot({ catalog_xmin: 701 }) },
  ],
  ["the primary has no such slot", { theirs: undefined }],
  ["it stands ahead of what was replayed here", { replayed: 0x1ffn }],
  ["its WAL could not be decoded here", { decoded: false }],
  ["its WAL is gone", { own: slot({ lost: true }) }],
  ["it holds no position", { own: slot({ restart_lsn: null }) }],
])("not when %s", (_, part) => {
  expect(distrust({ ...proved, ...part })).toEqual(expect.any(String));
});

test("transaction ids are compared on their circle", () => {
  const young = { keptXmin: 4_294_967_290, theirs: slot({ catalog_xmin: 4_294_967_290 }) };
  expect(distrust({ ...proved, ...young, own: slot({ catalog_xmin: 5 }) })).toBe(undefined);
  const old = { keptXmin: 5, theirs: slot({ catalog_xmin: 5 }) };
  expect(distrust({ ...proved, ...old, own: slot({ catalog_xmin: 4_294_967_290 }) })).toEqual(
    expect.any(String),
  );
});

test("copied is what is missing here, has its WAL here, and lives longer than one table's first copy", () => {
  const theirs = [
    slot({ name: "here" }),
    slot({ name: "old", restart_lsn: 0x7fn }),
    slot({ name: "gone", lost: true }),
    slot({ name: "pg_16394_sync_16385_7412345678901234567" }),
    slot({ name: "wanted" }),
  ];
  expect(copyable(theirs, [{ name: "here" }], 0x80n)).toEqual(["wanted"]);
});
