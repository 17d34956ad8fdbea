/** The own store's log stays bounded: what is applied and beyond what is kept for others is forgotten. */
import type { Clock } from "../clock/clock.ts";
import type { Config } from "../config/schema.ts";
import type { Queryable } from "../db/call.ts";
import type { Hints } from "../db/hints.ts";
import { compact } from "../db/raft.ts";
import type { Log } from "../log/logger.ts";

/** At most so often, and not at all while nothing is applied. */
const EVERY_MS = 1000;

/** Runs until the signal aborts. Nothing waits for it. */
export async function keepLogBounded(o: {
  readonly config: Pick<Config, "raft">;
  readonly store: Queryable;
  readonly hints: Hints;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { maxLogEntries: entries, maxLogBytes: bytes } = o.config.raft;
  while (!o.signal.aborted) {
    try {
      while (!o.signal.aborted && (await compact(o.store, { entries, bytes })));
    } catch (error) {
      // The store restarts, or its disk is full: the next round tries again.
      o.log.debug({ event: "control.gone" }, `the log was not compacted: ${error}`);
    }
    await o.clock.sleep(EVERY_MS, o.signal);
    await o.hints.next(o.signal);
  }
}
