/** A primary that should no longer serve, asked from outside: by statements, never by settings (D7). */
import type pg from "pg";
import { monotonicClock } from "../../src/clock/clock.ts";
import { TIMING_PRESETS } from "../../src/config/schema.ts";
import { FENCE_MS, surelyOverMs } from "../../src/core/lease.ts";
import { rows, writesThatPass } from "./sql.ts";
import { NotYet } from "./until.ts";

export const LEASE_MS = TIMING_PRESETS.lan.lease_ms;
/** Lease and fence, with the rate error. */
export const OVER_MS = surelyOverMs({ leaseMs: LEASE_MS });
export { FENCE_MS };

const quick = { connectMs: 500, answerMs: 500 };

/** A session that was opened in good times; it lives for as long as its server does. */
export async function refusesAll(uri: string, old: pg.Client, table: string): Promise<void> {
  const read = await rows(uri, "select 1", [], quick).then(
    () => "a new session read",
    () => undefined,
  );
  const earlier = await old.query("select 1").then(
    () => "an old session read",
    () => undefined,
  );
  const written = await writesThatPass(uri, `insert into ${table} values (-1)`, old);
  const served = [read, earlier, ...written].filter((one) => one !== undefined);
  if (served.length > 0) throw new NotYet(`still served: ${served.join(", ")}`);
}

/** Until a session opened before is ended; returns the monotonic time of its last answer. */
export async function untilOver(uri: string, old: pg.Client, limitMs: number): Promise<number> {
  const started = monotonicClock.now();
  let last = started;
  for (;;) {
    const late = monotonicClock.sleep(limitMs - (last - started)).then(() => "late" as const);
    const answer = await Promise.race([
      old.query("select 1").then(
        () => "served" as const,
        () => "over" as const,
      ),
      late,
    ]);
    if (answer === "over") return last;
    if (answer === "late") throw new Error(`${uri}: a session outlived ${limitMs} ms`);
    last = monotonicClock.now();
    await monotonicClock.sleep(10);
  }
}
