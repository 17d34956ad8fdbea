import { expect, test } from "vitest";
import { archiveTrouble } from "../../src/core/archiving.ts";

const fine = { failing: false, wal: null, waiting: 0, oldest_s: null };

test.each([
  [fine, undefined],
  [{ ...fine, waiting: 3, oldest_s: 59 }, undefined],
  [
    { ...fine, waiting: 2, oldest_s: 61.4 },
    "the archive is slow: 2 segments wait and are kept, the oldest for 61 s",
  ],
  [
    { failing: true, wal: "000000020000000000000003", waiting: 1, oldest_s: 0.2 },
    "archive_command failed on 000000020000000000000003: 1 segment waits and is kept",
  ],
])("%o is told as %s", (seen, told) => {
  expect(archiveTrouble(seen)).toBe(told);
});
