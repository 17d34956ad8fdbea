/**
 * Calls users' functions for the entries they put into the log: in the own control store, and in the data server while
 * it is the primary. What such a function does and its place in the log are one transaction of the server it runs in,
 * so each entry is taken once there, whoever dies.
 *
 * A part of its own, with connections of its own: nothing that elects, replicates or fails over waits for it.
 */
import { join } from "node:path";
import type pg from "pg";
import { type Clock, untilBeat } from "../clock/clock.ts";
import type { Config } from "../config/schema.ts";
import { entriesAfter, handlerState, runHandler } from "../db/apply-handler.ts";
import { type Queryable, run } from "../db/call.ts";
import { type ConnectOptions, connect } from "../db/connect.ts";
import type { Hints } from "../db/hints.ts";
import type { Log } from "../log/logger.ts";
import { ownControlStore } from "./control-store.ts";
import type { AskUpkeep } from "./upkeep.ts";

export interface ApplyHandlerOptions {
  readonly config: Config;
  readonly store: Queryable;
  readonly ask: AskUpkeep;
  /** Rung when something was applied; one for each server. */
  readonly hints: { readonly control: Hints; readonly data: Hints };
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** A server that may have a handler. */
interface Place {
  readonly name: "control store" | "data server";
  readonly hints: Hints;
  /** Nothing is asked of it while it may not. */
  readonly mayRun: () => Promise<boolean>;
  readonly connection: ConnectOptions;
}

/** Whether there is a handler is looked at this often. */
const LOOK_MS = 1000;
/** Hints tell of entries; one may have been lost (H65). */
const ENTRIES_MS = 2000;
const BATCH = 200;
/** A call of the function for one batch. */
const CALL_LIMIT_MS = 60_000;
const GIVE_UP_MS = 90_000;
const CONNECT_LIMIT_MS = 3000;

/** Runs until the signal aborts. Nothing waits for it. */
export async function applyHandlers(options: ApplyHandlerOptions): Promise<void> {
  const { config, ask, hints } = options;
  const rest = { applicationName: "pg_replica apply handler", connectLimitMs: CONNECT_LIMIT_MS };
  const places: Place[] = [
    {
      name: "control store",
      hints: hints.control,
      // A connection more is for those who have one.
      mayRun: async () => (await ask()).handled,
      connection: { ...ownControlStore(config, rest.applicationName), ...rest },
    },
  ];
  if (config.data !== undefined) {
    const address = { host: join(config.dir, "run", "data"), port: config.data.port };
    places.push({
      name: "data server",
      hints: hints.data,
      mayRun: async () => (await ask()).data_is_open,
      connection: { ...address, user: "postgres", ...rest },
    });
  }
  await Promise.all(places.map((place) => keepCalling(place, options)));
}

async function keepCalling(place: Place, options: ApplyHandlerOptions): Promise<void> {
  const { clock, log, signal } = options;
  let client: pg.Client | undefined;
  const hangUp = () => {
    // A server that is gone or frozen answers no farewell.
    client?.end().catch(() => undefined);
    client = undefined;
  };
  let failing = false;
  signal.addEventListener("abort", hangUp, { once: true });
  while (!signal.aborted) {
    let pauseMs = LOOK_MS;
    try {
      if (await place.mayRun()) {
        client ??= await open(place);
        pauseMs = await turn(client, place, options);
        failing = false;
      } else hangUp();
    } catch (error) {
      // Said once; the view pgraft_apply_handler tells where it stands.
      const level = failing || signal.aborted ? "debug" : "warn";
      failing = true;
      log[level](
        { event: "worker.handler_failed", error: String(error) },
        `the apply handler of the ${place.name} was not called`,
      );
      hangUp();
    }
    await clock.sleep(pauseMs < LOOK_MS ? pauseMs : untilBeat(clock.now(), LOOK_MS), signal);
  }
  hangUp();
}

/** The server ends a call that takes too long, and its error is kept there; we give up on a server that does not. */
async function open({ connection }: Place): Promise<pg.Client> {
  const client = await connect({ ...connection, statementLimitMs: GIVE_UP_MS });
  await run(client, { text: `set statement_timeout = ${CALL_LIMIT_MS}` });
  return client;
}

/** One look, and as many batches as there are; how long to rest then. */
async function turn(
  client: pg.Client,
  { hints }: Place,
  { store, signal }: ApplyHandlerOptions,
): Promise<number> {
  while (!signal.aborted) {
    const state = await handlerState(client);
    if (state === undefined) return LOOK_MS;
    if (state.wait_ms > 0) return Math.min(state.wait_ms, LOOK_MS);
    const entries = await entriesAfter(store, state, BATCH);
    if (entries === undefined) await hints.within(ENTRIES_MS, signal);
    else if ((await runHandler(client, entries.text)) === 0) return 0;
  }
  return 0;
}
