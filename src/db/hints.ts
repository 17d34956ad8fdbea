/** LISTEN as "look now": a notification changes only when we look, never what we believe (H65). */
import pgListen, { type Subscriber } from "pg-listen";
import { type Clock, monotonicClock } from "../clock/clock.ts";
import { connectionConfig, type LocalOptions } from "./connect.ts";

export interface Hints {
  /** Resolves at the next hint, at once if one came since the last call, or when `signal` aborts. */
  next(signal?: AbortSignal): Promise<void>;
  /** The same, but no longer than `ms`; true when there was a hint. */
  within(ms: number, signal: AbortSignal): Promise<boolean>;
  /** Make `next` resolve. */
  nudge(): void;
}

export interface OpenHints extends Hints {
  /**
   * The same hints for another reader: each reader misses none, whatever the others have seen. It may name the
   * notifications it cares for by their payload; a reconnection wakes every reader.
   */
  fork(...payloads: readonly string[]): Hints;
  close(): Promise<void>;
}

/** Hints without a connection: only `nudge` makes them. For one reader. */
export function quietHints(clock: Clock = monotonicClock): Hints {
  let pending = false;
  let wake: () => void = () => undefined;
  const next = async (signal?: AbortSignal) => {
    if (!pending && !signal?.aborted) {
      await new Promise<void>((resolve) => {
        wake = resolve;
        signal?.addEventListener("abort", wake, { once: true });
      });
      signal?.removeEventListener("abort", wake);
    }
    pending = false;
  };
  return {
    nudge: () => {
      pending = true;
      wake();
    },
    next,
    within: async (ms, signal) => {
      if (!pending && !signal.aborted) {
        const rest = new AbortController();
        // A reason of our own: the default one captures a stack each time.
        wake = () => rest.abort(null);
        signal.addEventListener("abort", wake, { once: true });
        await clock.sleep(ms, rest.signal);
        signal.removeEventListener("abort", wake);
      }
      const hinted = pending;
      pending = false;
      return hinted;
    },
  };
}

/**
 * The same hints for a reader whom nobody waits for: a failover applies an entry every few milliseconds, and what is
 * looked at then costs time that the failover needs. After a hint `restMs()` pass; what comes meanwhile counts as one.
 */
export function unhurried(hints: Hints, clock: Clock, restMs: () => number): Hints {
  return {
    nudge: () => hints.nudge(),
    next: async (signal) => {
      await hints.next(signal);
      await clock.sleep(restMs(), signal);
    },
    within: async (ms, signal) => {
      const hinted = await hints.within(ms, signal);
      if (hinted) await clock.sleep(restMs(), signal);
      return hinted;
    },
  };
}

const RECONNECT_MS = 200;

/**
 * Listen on `channels` of one server. Rejects if the first connection fails; a connection lost later is opened again,
 * for as long as it takes, and every reconnection is a hint (what came meanwhile was not heard).
 */
export async function openHints(
  connection: LocalOptions,
  { channels, clock }: { readonly channels: readonly string[]; readonly clock: Clock },
): Promise<OpenHints> {
  const closing = new AbortController();
  const own = quietHints(clock);
  const readers: { readonly hints: Hints; readonly payloads: readonly string[] }[] = [
    { hints: own, payloads: [] },
  ];
  const nudge = () => {
    for (const { hints } of readers) hints.nudge();
  };
  const heard = (payload: string) => {
    for (const { hints, payloads } of readers) {
      if (payloads.length === 0 || payloads.includes(payload)) hints.nudge();
    }
  };
  let listener = await listen(connection, channels, heard);
  const listening = (async () => {
    while (!closing.signal.aborted) {
      await Promise.race([listener.lost, aborted(closing.signal)]);
      await listener.close();
      while (!closing.signal.aborted) {
        await clock.sleep(RECONNECT_MS, closing.signal);
        // Refused or too slow: the server is not back yet.
        const next = await listen(connection, channels, heard).catch(() => undefined);
        if (next === undefined) continue;
        listener = next;
        break;
      }
      nudge();
    }
    await listener.close();
  })();
  return {
    next: own.next,
    within: own.within,
    nudge,
    fork: (...payloads) => {
      const hints = quietHints(clock);
      readers.push({ hints, payloads });
      return hints;
    },
    close: async () => {
      closing.abort();
      await listening;
    },
  };
}

interface Listener {
  /** Resolves when the connection is gone. */
  readonly lost: Promise<void>;
  close(): Promise<void>;
}

/** Under NodeNext the default import is typed as the module, which it is not at run time under every loader. */
const createSubscriber = (
  typeof pgListen === "function" ? pgListen : pgListen.default
) as typeof pgListen.default;

/** One subscriber for one connection: pg-listen's own retries cannot be stopped once they have begun. */
async function listen(
  connection: LocalOptions,
  channels: readonly string[],
  heard: (payload: string) => void,
): Promise<Listener> {
  const subscriber = createSubscriber(connectionConfig(connection), {
    retryTimeout: 0,
    retryLimit: 1,
    parse: (text) => text,
  });
  const lost = new Promise<void>((resolve) => {
    subscriber.events.on("error", () => resolve());
  });
  const close = () => closeQuietly(subscriber);
  subscriber.events.on("notification", ({ payload }) => heard(String(payload)));
  try {
    await subscriber.connect();
    await Promise.all(channels.map((channel) => subscriber.listenTo(channel)));
  } catch (error) {
    await close();
    throw error;
  }
  return { lost, close };
}

/** Closing a connection that is gone already is no failure. */
async function closeQuietly(subscriber: Subscriber): Promise<void> {
  await subscriber.close().catch(() => undefined);
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
