/** Repeats the cluster's events on the primary's own data server, for those who LISTEN there (H65: a hint). */
import { join } from "node:path";
import type pg from "pg";
import { type Clock, untilBeat } from "../clock/clock.ts";
import type { Config } from "../config/schema.ts";
import { type Queryable, run } from "../db/call.ts";
import { connect } from "../db/connect.ts";
import type { Hints } from "../db/hints.ts";
import { type Announcement, announcements } from "../db/node.ts";
import type { Log } from "../log/logger.ts";

export interface AnnounceOptions {
  readonly config: Config;
  readonly store: Queryable;
  readonly hints: Hints;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const LIMIT_MS = 2000;
const RETRY_MS = 1000;
/** Hints tell when to look; one may have been lost (H65). */
const LOOK_MS = 5000;

/** Runs until the signal aborts. What cannot be said is left out after the next twenty events. */
export async function announce(options: AnnounceOptions): Promise<void> {
  const { store, hints, clock, log, signal } = options;
  let last = 0n;
  let client: pg.Client | undefined;
  let failing = false;
  while (!signal.aborted) {
    try {
      const news = await announcements(store, last);
      if (news.length > 0) {
        client ??= await open(options);
        for (const one of news) await say(client, one);
        last = news.at(-1)?.event_id ?? last;
      }
      failing = false;
      await hints.within(untilBeat(clock.now(), LOOK_MS), signal);
    } catch (error) {
      // Said once: who listens there hears nothing until it works again.
      const level = failing ? "debug" : "warn";
      failing = true;
      log[level]({ event: "agent.failed", error: String(error) }, "news are not announced");
      hangUp(client);
      client = undefined;
      await clock.sleep(RETRY_MS, signal);
    }
  }
  hangUp(client);
}

function open({ config }: AnnounceOptions): Promise<pg.Client> {
  return connect({
    host: join(config.dir, "run", "data"),
    port: config.data?.port ?? 0,
    user: "postgres",
    applicationName: "pg_replica announce",
    connectLimitMs: LIMIT_MS,
    statementLimitMs: LIMIT_MS,
  });
}

/** A hint waits for no standby, though its transaction has a commit record. */
function say(client: pg.Client, { channel, payload }: Announcement): Promise<void> {
  return run(client, {
    text: `select pg_notify($1, $2)
            where set_config('synchronous_commit', 'local', true) is not null`,
    values: [channel, payload],
  });
}

/** The server has ended the session, or will when it sees the socket closed. */
function hangUp(client: pg.Client | undefined): void {
  client?.end().catch(() => undefined);
}
