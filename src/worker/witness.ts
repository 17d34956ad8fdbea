/** A witness has no agent: that it runs its worker says itself, as an agent does of its data server. */
import { type Clock, untilBeat } from "../clock/clock.ts";
import type { Queryable } from "../db/call.ts";
import { observe } from "../db/node.ts";
import type { Log } from "../log/logger.ts";

/** Three times within the time after which a member counts as unreachable (node.seen). */
const BEAT_MS = 1000;

export async function keepObserved(o: {
  readonly store: Queryable;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<void> {
  while (!o.signal.aborted) {
    await observe(o.store, { role: "none", state: "running" }).catch((error: unknown) =>
      // Told again at the next turn; a store that is away hears nothing anyway.
      o.log.debug(
        { event: "agent.failed", error: String(error) },
        "the observation was not stored",
      ),
    );
    await o.clock.sleep(untilBeat(o.clock.now(), BEAT_MS), o.signal);
  }
}
