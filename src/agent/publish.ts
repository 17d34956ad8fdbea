/** Tell the control store what is seen: at once when asked, and otherwise no more often than somebody needs. */
import type { Agent } from "./context.ts";
import { classify, type Disk } from "./disk.ts";
import { rowOf } from "./observe.ts";

/** Nothing changed, but the worker lives: said this often. Positions may be this old. */
const BEAT_MS = 750;
/** What changes all the time, and hurries nobody. */
const VOLATILE = new Set(["wal_lsn", "replay_lsn", "lag_bytes", "lag_ms"]);

export interface Publisher {
  /** Send now; resolves when what is seen at this moment was sent. Never throws. */
  publish(): Promise<void>;
  /** Send if something changed, or nothing was said for a while. */
  publishChanges(): Promise<void>;
}

export function createPublisher(agentOf: () => Agent): Publisher {
  let said = "";
  let saidAt = Number.NEGATIVE_INFINITY;
  const send = async (onlyChanges: boolean) => {
    const { state, store, log, clock } = agentOf();
    try {
      const row = rowOf(agentOf(), state.disk ?? (await classify(agentOf()).catch(unreadable)));
      const lasting = JSON.stringify(row, (key, value) => (VOLATILE.has(key) ? undefined : value));
      if (onlyChanges && lasting === said && clock.now() - saidAt < BEAT_MS) return;
      await store.observe(row);
      said = lasting;
      saidAt = clock.now();
    } catch (error) {
      // Told again at the next turn; a store that is away hears nothing anyway.
      log.debug({ event: "agent.failed", error: String(error) }, "the observation was not stored");
    }
  };
  const inTurn = oneAtATime();
  return {
    publish: () => inTurn(() => send(false)),
    publishChanges: () => inTurn(() => send(true)),
  };
}

/** What cannot be read now says nothing; the agent's own problem says why. */
function unreadable(): Pick<Disk, "systemIdentifier" | "problem"> {
  return { systemIdentifier: undefined };
}

/** So that an older observation never overwrites a newer one; each waits for the one before. */
function oneAtATime(): (send: () => Promise<void>) => Promise<void> {
  let last = Promise.resolve();
  return (send) => {
    last = last.then(send);
    return last;
  };
}
