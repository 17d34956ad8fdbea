/** Order statistics and small text pictures of samples. */

export interface Summary {
  readonly n: number;
  readonly min: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly mean: number;
}

/** The smallest sample such that at least `part` (0 to 1) of all are at or below it (nearest rank). */
export function percentile(samples: readonly number[], part: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const rank = Math.max(1, Math.ceil(part * sorted.length));
  return sorted[rank - 1] ?? Number.NaN;
}

/** The middle sample, or the mean of the two in the middle. */
export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

export function summarize(samples: readonly number[]): Summary {
  const sum = samples.reduce((total, sample) => total + sample, 0);
  return {
    n: samples.length,
    min: percentile(samples, 0),
    p50: median(samples),
    p99: percentile(samples, 0.99),
    max: percentile(samples, 1),
    mean: sum / samples.length,
  };
}

/** Sample standard deviation. */
export function deviation(samples: readonly number[]): number {
  const { mean, n } = summarize(samples);
  const squares = samples.reduce((total, sample) => total + (sample - mean) ** 2, 0);
  return Math.sqrt(squares / Math.max(1, n - 1));
}

const EDGES_MS = [50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000];

/** One line per occupied range of milliseconds, with a bar. */
export function histogram(samples: readonly number[]): string[] {
  const edges = [0, ...EDGES_MS, Number.POSITIVE_INFINITY];
  const counts = edges.slice(1).map((to, index) => {
    const from = edges[index] ?? 0;
    const count = samples.filter((sample) => sample >= from && sample < to).length;
    return { from, to, count };
  });
  const first = counts.findIndex(({ count }) => count > 0);
  const last = counts.findLastIndex(({ count }) => count > 0);
  const most = Math.max(1, ...counts.map(({ count }) => count));
  return counts.slice(Math.max(0, first), last + 1).map(({ from, to, count }) => {
    const range = to === Number.POSITIVE_INFINITY ? `>= ${from}` : `${from}-${to}`;
    const bar = "#".repeat(Math.ceil((count / most) * 40));
    return `${range.padStart(11)} ms ${`${count}`.padStart(4)} ${bar}`;
  });
}
