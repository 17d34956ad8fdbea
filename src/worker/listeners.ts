/**
 * Who listens and does not read holds up the queue of notifications of the whole control store. Once that is full, or
 * its volume, every transaction that notifies fails, appends among them (H65, H66). Such a session is ended; one that
 * came over the network and no longer reads is ended by the server itself (tcp_user_timeout).
 */
import { type Clock, untilBeat } from "../clock/clock.ts";
import type { Queryable } from "../db/call.ts";
import { endHindering, hindering } from "../db/hindering.ts";
import { noteAct } from "../db/node.ts";
import type { Log } from "../log/logger.ts";

const LOOK_MS = 5000;
/** Of the queue's 8 GB: no listener that reads is ever so far behind. */
const PART = 0.01;
/** Longer than any statement of ours may take. */
const HELD_MS = 65_000;

/** Runs until the signal aborts. Nothing waits for it. */
export async function keepNotificationsMoving(o: {
  readonly store: Queryable;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<void> {
  let since: ReadonlyMap<string, number> = new Map();
  while (!o.signal.aborted) {
    try {
      since = await look(o, since);
    } catch (error) {
      // The store restarts, or its queue is full to the end: the next look tries again.
      o.log.debug({ event: "control.gone" }, `no listener was looked for: ${error}`);
    }
    await o.clock.sleep(untilBeat(o.clock.now(), LOOK_MS), o.signal);
  }
}

/** Ends those who have been in one state for too long; since when the others are. */
async function look(
  { store, clock, log }: { readonly store: Queryable; readonly clock: Clock; readonly log: Log },
  before: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, number>> {
  const since = new Map<string, number>();
  for (const { key, pid, role, application } of await hindering(store, PART)) {
    const from = before.get(key) ?? clock.now();
    since.set(key, from);
    if (clock.now() - from < HELD_MS || !(await endHindering(store, PART, key))) continue;
    const reason = `a session of ${role} may have held up all notifications for more than a minute`;
    log.warn({ event: "control.session_ended", pid, role, application }, reason);
    await noteAct(store, { event: "session_ended", reason, detail: { role, application } });
  }
  return since;
}
