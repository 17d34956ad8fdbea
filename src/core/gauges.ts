/** How fast a disk fills and lags grow, from looks taken now and then. Pure; times are monotonic milliseconds. */

/** One look at what SQL cannot see, or not remember. */
export interface Sample {
  readonly at: number;
  /** Room on the volume of pg_wal, bytes. */
  readonly freeBytes: number;
  /** Bytes each standby has not replayed, by the name it streams under. */
  readonly lags: Readonly<Record<string, number>>;
}

export interface Gauges {
  readonly free_bytes: number;
  /** Seconds until the volume is full, if it goes on so; null while it does not fill. */
  readonly full_in_s: number | null;
  /** Bytes per second, by name; nothing for who has not been there long enough. */
  readonly growth: Readonly<Record<string, number>>;
}

/** Growth is that of the last minute; of less than a few seconds it says nothing. */
const WINDOW_MS = 60_000;
const LEAST_MS = 5000;
/** Whatever takes longer does not fill the disk. */
const NEVER_S = 365 * 24 * 3600;

/** With one more look, without those that are too old to count. */
export function withSample(samples: readonly Sample[], next: Sample): readonly Sample[] {
  return [...samples.filter(({ at }) => next.at - at <= WINDOW_MS), next];
}

/** What the looks say, oldest first; undefined without any. */
export function gaugesOf(samples: readonly Sample[]): Gauges | undefined {
  const last = samples.at(-1);
  if (last === undefined) return undefined;
  const filled = growth(samples.map(({ at, freeBytes }) => ({ at, value: -freeBytes })));
  const names = Object.keys(last.lags);
  const rates = names.map((name) => {
    const seen = samples.map(({ at, lags }) => ({ at, value: lags[name] }));
    return [name, growth(seen)] as const;
  });
  return {
    free_bytes: last.freeBytes,
    full_in_s: fullIn(last.freeBytes, filled),
    growth: Object.fromEntries(rates.filter(([, rate]) => rate !== undefined)) as Gauges["growth"],
  };
}

function fullIn(freeBytes: number, perSecond: number | undefined): number | null {
  if (perSecond === undefined || perSecond <= 0) return null;
  const seconds = Math.round(freeBytes / perSecond);
  return seconds <= NEVER_S ? seconds : null;
}

/** Per second, since the value was last missing: a standby that was away begins anew. */
function growth(
  seen: readonly { readonly at: number; readonly value: number | undefined }[],
): number | undefined {
  const since = seen.slice(seen.findLastIndex(({ value }) => value === undefined) + 1);
  const [first] = since;
  const last = since.at(-1);
  if (first?.value === undefined || last?.value === undefined) return undefined;
  if (last.at - first.at < LEAST_MS) return undefined;
  return Math.round(((last.value - first.value) * 1000) / (last.at - first.at));
}
