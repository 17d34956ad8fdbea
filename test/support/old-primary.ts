/** A primary that should no longer serve, asked from outside: by statements, never by settings (D7). */
import type pg from "pg";
import { TIMING_PRESETS } from "../../src/config/schema.ts";
import { FENCE_MS, surelyOverMs } from "../../src/core/lease.ts";
import { errorOf, rows, writesThatPass } from "./sql.ts";
import { NotYet, until } from "./until.ts";

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

/** Until nothing is served there any more; returns the monotonic time at which that was first seen. */
export async function untilOver(uri: string, old: pg.Client, limitMs: number): Promise<number> {
  const ended = errorOf(endless(old)).then(() => performance.now());
  const end = await Promise.race([
    ended,
    until("the old session ends", { limitMs, everyMs: 50 }, () => false).catch(() => undefined),
  ]);
  if (end === undefined) throw new Error(`${uri}: a session outlived ${limitMs} ms`);
  return end;
}

/** Reads again and again, on a session opened before: the last answer is the last that anybody got. */
async function endless(old: pg.Client): Promise<never> {
  for (;;) {
    await old.query("select 1");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
