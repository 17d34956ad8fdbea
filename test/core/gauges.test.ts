/** How fast a disk fills and lags grow. */
import { expect, test } from "vitest";
import { gaugesOf, type Sample, withSample } from "../../src/core/gauges.ts";

const GB = 1e9;

/** One look every five seconds. */
function looks(...values: readonly [free: number, lags?: Sample["lags"]][]): readonly Sample[] {
  return values.reduce<readonly Sample[]>(
    (samples, [freeBytes, lags = {}], index) =>
      withSample(samples, { at: 1000 + index * 5000, freeBytes, lags }),
    [],
  );
}

test("no look says nothing, one look says how much is free", () => {
  expect(gaugesOf([])).toBeUndefined();
  expect(gaugesOf(looks([5 * GB, { b: 10 }]))).toEqual({
    free_bytes: 5 * GB,
    full_in_s: null,
    growth: {},
  });
});

test("a disk that fills is full when the rest is gone at this pace", () => {
  // 1 GB in 10 s, 8 GB left.
  expect(gaugesOf(looks([9 * GB], [8.5 * GB], [8 * GB]))?.full_in_s).toBe(80);
});

test("a disk that does not fill, or takes more than a year, is never full", () => {
  expect(gaugesOf(looks([5 * GB], [5 * GB]))?.full_in_s).toBeNull();
  expect(gaugesOf(looks([5 * GB], [6 * GB]))?.full_in_s).toBeNull();
  expect(gaugesOf(looks([5000 * GB], [5000 * GB - 10]))?.full_in_s).toBeNull();
});

test("a lag that grows or shrinks does so per second, each standby by itself", () => {
  const samples = looks([GB, { b: 1000, c: 9000 }], [GB, { b: 3000, c: 4000 }]);
  expect(gaugesOf(samples)?.growth).toEqual({ b: 400, c: -1000 });
});

test("a standby that was away begins anew, and one that left is not spoken of", () => {
  const samples = looks([GB, { b: 0, c: 1 }], [GB, { c: 1 }], [GB, { b: 7000 }], [GB, { b: 7500 }]);
  expect(gaugesOf(samples)?.growth).toEqual({ b: 100 });
});

test("only the last minute counts", () => {
  const flat = Array.from({ length: 20 }, () => [10 * GB] as [number]);
  expect(gaugesOf(looks([99 * GB], ...flat))?.full_in_s).toBeNull();
});
