/** The own store's log stays bounded: what is applied and beyond what is kept for others is forgotten. */
import type { Config } from "../config/schema.ts";
import type { Queryable } from "../db/call.ts";
import type { Hints } from "../db/hints.ts";
import { compact } from "../db/raft.ts";
import type { Log } from "../log/logger.ts";

/** Runs until the signal aborts. Nothing waits for it. */
export async function keepLogBounded(o: {
  readonly config: Pick<Config, "raft">;
  readonly store: Queryable;
  /** Unhurried: a scan for each entry would be too many. */
  readonly hints: Hints;
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
    await o.hints.next(o.signal);
  }
}
