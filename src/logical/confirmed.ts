/**
 * How far the standbys hold what this primary has written. A transaction that only the primary holds may be gone after
 * its failover: handed out, it would be a change that never happened. So the end of a transaction waits for this.
 */
import { monotonicClock } from "../clock/clock.ts";
import type { Connection } from "../replication/connection.ts";
import { ReplicationError, toReplicationError } from "./errors.ts";
import { Lsn } from "./lsn.ts";
import { rows } from "./rows.ts";

/** While a transaction waits the primary is asked again, soon at first. */
const FIRST_PAUSE_MS = 1;
const LAST_PAUSE_MS = 20;
/** A server that asks no standby is asked at most so often whether it does by now. */
const RULE_MS = 1000;
/** It is asked so often though nothing waits: a server may freeze while all it sent is confirmed. */
const PULSE_MS = 2000;
/** A server that does not answer this in time is frozen, or cut off: the stream goes on elsewhere. */
const ANSWER_LIMIT_MS = 5000;

/**
 * The commit rule of the server and the position that as many standbys have flushed as it asks for; of no rule, the
 * primary's own. Visible to members of pg_monitor.
 */
const ASK = `
  with rule as (select current_setting('synchronous_standby_names') as names),
       need as (select case when pg_is_in_recovery() or trim(names) = '' then 0
                  else coalesce(substring(names from '(?i)^\\s*(?:any\\s+|first\\s+)?([0-9]+)\\s*\\('), '1')::int
                end as k from rule)
  select k, case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
    when k = 0 then pg_current_wal_flush_lsn()
    else (select flush_lsn from pg_stat_replication
           where sync_state in ('sync', 'quorum') and flush_lsn is not null
           order by flush_lsn desc offset greatest(k - 1, 0) limit 1)
    end::text, pg_has_role(current_user, 'pg_read_all_stats', 'usage')
    from need`;

interface Answer {
  readonly needed: number;
  readonly lsn: Lsn;
}

async function ask(connection: Connection): Promise<Answer> {
  const [row] = await rows(connection, ASK, { silenceLimitMs: ANSWER_LIMIT_MS });
  const [needed, lsn, mayLook] = row ?? [];
  if (needed !== "0" && mayLook !== "t") {
    throw new ReplicationError(
      "server",
      `the role may not see what the standbys of ${connection.peer} have confirmed`,
      {
        hint: 'grant pg_monitor to it, or give unconfirmed: "deliver" and bear changes that a failover undoes',
      },
    );
  }
  return { needed: Number(needed), lsn: lsn == null ? Lsn.ZERO : Lsn.parse(lsn) };
}

export interface ConfirmedEvents {
  /** What was waited for is confirmed. */
  onMore(): void;
  onFailure(error: ReplicationError): void;
}

export class Confirmed {
  readonly #connection: Connection;
  readonly #events: ConfirmedEvents;
  readonly #life = new AbortController();
  #last: Answer;
  #askedAt = monotonicClock.now();
  #waitsFor: Lsn = Lsn.ZERO;
  #asking = false;

  private constructor(connection: Connection, first: Answer, events: ConfirmedEvents) {
    this.#connection = connection;
    this.#last = first;
    this.#events = events;
    void this.#keepAsking();
  }

  /** undefined where nothing is to be waited for: a single server that asks no standby. */
  static async open(
    dial: () => Promise<Connection>,
    { several }: { readonly several: boolean },
    events: ConfirmedEvents,
  ): Promise<Confirmed | undefined> {
    const connection = await dial();
    try {
      const first = await ask(connection);
      if (first.needed > 0 || several) return new Confirmed(connection, first, events);
    } catch (error) {
      connection.destroy(error);
      throw error;
    }
    await connection.close();
    return undefined;
  }

  /** Whether enough standbys hold everything up to here; if not, `onMore` tells when. */
  covers(lsn: Lsn): boolean {
    if (lsn <= this.#last.lsn) return true;
    const free = this.#last.needed === 0;
    if (free && monotonicClock.now() - this.#askedAt < RULE_MS) return true;
    if (lsn > this.#waitsFor) this.#waitsFor = lsn;
    if (!this.#asking) void this.#askOn();
    return free;
  }

  async #keepAsking(): Promise<void> {
    const { signal } = this.#life;
    while (!signal.aborted) {
      await monotonicClock.sleep(PULSE_MS, signal);
      if (!signal.aborted && !this.#asking) void this.#askOn();
    }
  }

  async #askOn(): Promise<void> {
    const { signal } = this.#life;
    this.#asking = true;
    try {
      for (
        let pauseMs = FIRST_PAUSE_MS;
        !signal.aborted;
        pauseMs = Math.min(LAST_PAUSE_MS, pauseMs * 2)
      ) {
        this.#last = await ask(this.#connection);
        this.#askedAt = monotonicClock.now();
        if (this.#last.needed === 0 || this.#last.lsn >= this.#waitsFor) break;
        await monotonicClock.sleep(pauseMs, signal);
      }
    } catch (cause) {
      if (!signal.aborted) this.#events.onFailure(toReplicationError(cause));
      return;
    } finally {
      this.#asking = false;
    }
    if (!signal.aborted) this.#events.onMore();
  }

  close(): void {
    this.#life.abort();
    this.#connection.destroy(new ReplicationError("io", "the stream has ended"));
  }
}
