/** The benchmarks' order statistics: a wrong percentile is a wrong claim. */
import { expect, test } from "vitest";
import { deviation, histogram, median, percentile, summarize } from "../../bench/stats.ts";

test("a percentile is a sample, by nearest rank", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(percentile(hundred, 0.99)).toBe(99);
  expect(percentile(hundred, 1)).toBe(100);
  expect(percentile(hundred, 0)).toBe(1);
  expect(percentile([7], 0.99)).toBe(7);
});

test("with fewer than a hundred samples the p99 is the maximum", () => {
  const twenty = Array.from({ length: 20 }, (_, index) => index);
  expect(percentile(twenty, 0.99)).toBe(19);
});

test("the median of an even number is between the two in the middle", () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([3, 1, 2])).toBe(2);
});

test("a summary keeps the worst sample", () => {
  const all = summarize([100, 5000, 200]);
  expect(all).toMatchObject({ n: 3, min: 100, p50: 200, p99: 5000, max: 5000 });
  expect(deviation([2, 4, 4, 4, 5, 5, 7, 9])).toBeCloseTo(2.138, 3);
});

test("the histogram shows every sample, outliers too", () => {
  const lines = histogram([60, 60, 120, 20_000]);
  const counted = lines.reduce((sum, line) => sum + Number(/ms +(\d+)/.exec(line)?.[1]), 0);
  expect(counted).toBe(4);
  expect(lines.at(-1)).toContain(">= 10000 ms");
});
