/** The own store's log stays bounded: what is applied and beyond what is kept for others is forgotten. */
import type { Queryable } from "../db/call.ts";
import type { Hints } from "../db/hints.ts";
import { compact } from "../db/raft.ts";
import type { Log } from "../log/logger.ts";
import type { Raft } from "../raft/run.ts";

/** Runs until the signal aborts. Nothing waits for it. */
export async function keepLogBounded(o: {
  readonly raft: Pick<Raft, "tuning">;
  readonly store: Queryable;
  /** Unhurried: a scan for each entry would be too many. */
  readonly hints: Hints;
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<void> {
  while (!o.signal.aborted) {
    const { maxLogEntries: entries, maxLogBytes: bytes } = o.raft.tuning.keep;
    try {
      while (!o.signal.aborted && (await compact(o.store, { entries, bytes })));
    } catch (error) {
      // The store restarts, or its disk is full: the next round tries again.
      o.log.debug({ event: "control.gone" }, `the log was not compacted: ${error}`);
    }
    await o.hints.next(o.signal);
  }
}
