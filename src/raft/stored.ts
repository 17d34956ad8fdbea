/** Entries on their way to an acceptor: from the window, or from the own store. */
import type { LogIndex } from "../core/ids.ts";
import type { Queryable } from "../db/call.ts";
import { readLog, termAt } from "../db/raft.ts";
import type { Log } from "../log/logger.ts";
import type { Limits } from "./batch.ts";
import type { Batch, Window } from "./window.ts";

export interface Sources {
  readonly window: Window;
  readonly store: Queryable;
  readonly log: Log;
}

/** Entries to send from `next` on, and the term before them; unknown when the own store does not tell. */
export async function entriesFrom(
  next: LogIndex,
  { window, store, log }: Sources,
  limits: Limits,
): Promise<Batch | "unknown" | "compacted"> {
  const fresh = window.from(next, limits);
  if (fresh !== undefined) return fresh;
  try {
    const prevTerm = await termAt(store, next - 1n);
    const stored = await readLog(store, next, limits);
    // It may have been compacted in between.
    if (prevTerm === undefined || stored[0]?.index !== next) return "compacted";
    return { entries: stored.filter(({ index }) => index < window.start), prevTerm };
  } catch (error) {
    log.debug({ event: "control.gone" }, String(error));
    return "unknown";
  }
}
