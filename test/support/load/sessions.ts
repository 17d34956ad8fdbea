/** A client that goes on: connected to one of the hosts, and to the next one once that is lost. */
import type pg from "pg";
import { monotonicClock } from "../../../src/clock/clock.ts";
import { hangUp, onUnconfirmed, open, sqlstate } from "../sql.ts";

export interface ClientOptions {
  readonly hosts: readonly string[];
  /** Which of them comes first. */
  readonly first?: number;
  readonly everyMs: number;
  /** Share of the time that may go to what is done, where that takes long; by default all of it. */
  readonly share?: number;
  /** How long it waits for an answer. */
  readonly answerMs?: number;
  readonly stopping: () => boolean;
  /** What is done again and again; false once the connection is of no use any more. */
  readonly act: (client: pg.Client, connection: number) => Promise<boolean>;
}

const LIMITS = { connectMs: 1000, answerMs: 5000 };
/** Rather another server than a late answer. */
export const HASTY_MS = 400;
const AWAY_MS = 20;
let connections = 0;

export async function goOn(options: ClientOptions) {
  const { hosts, first = 0, everyMs, share = 1, stopping, act, ...more } = options;
  let client: pg.Client | undefined;
  let host = first;
  let connection = 0;
  while (!stopping()) {
    try {
      if (client === undefined) {
        client = await open(hosts[host % hosts.length] ?? "", { ...LIMITS, ...more });
        connections += 1;
        connection = connections;
      }
    } catch {
      host += 1; // refused, or nobody there
      await monotonicClock.sleep(AWAY_MS);
      continue;
    }
    const startedAt = monotonicClock.now();
    if (!(await act(client, connection))) {
      hangUp(client);
      client = undefined;
      host += 1;
    }
    const tookMs = monotonicClock.now() - startedAt;
    await monotonicClock.sleep(Math.max(everyMs, tookMs / share - tookMs));
  }
  if (client !== undefined) hangUp(client);
}

export type Told = "ok" | "fail" | "unknown";

/**
 * A change in one statement; whoever waits for a confirmation that was cancelled knows nothing (H13), and others see
 * the change from then on, on that server (H06).
 */
export async function change(
  client: pg.Client,
  text: string,
  values: readonly unknown[],
): Promise<{ readonly outcome: Told; readonly cancelled: boolean }> {
  let cancelled = false;
  const hearNoMore = onUnconfirmed(client, () => {
    cancelled = true;
  });
  try {
    await client.query(text, [...values]);
    return { outcome: cancelled ? "unknown" : "ok", cancelled };
  } catch (error) {
    // A standby; a deadlock, or a serialization failure.
    const refused = /^(25006|0A000|40001|40P01)$/.test(sqlstate(error));
    return { outcome: refused ? "fail" : "unknown", cancelled };
  } finally {
    hearNoMore();
  }
}
