/**
 * What the settings `pgraft.*` in the control server's files change of a node's configuration: at its start, where a
 * bad one stops the worker, and after each reload, where a bad one changes nothing.
 *
 * What moves is Raft's own: its timers, which no promise rests on, and how much of the log is kept. A primary's lease
 * is node.yaml's, the same on all members, and no setting of this kind reaches it.
 */
import { type Clock, untilBeat } from "../clock/clock.ts";
import type { Config } from "../config/schema.ts";
import type { Queryable } from "../db/call.ts";
import { refusalOf } from "../db/errors.ts";
import { pgraftSettings } from "../db/node.ts";
import type { Level, Log } from "../log/logger.ts";
import type { Raft, Tuning } from "../raft/run.ts";
import type { AskUpkeep } from "./upkeep.ts";

export interface Settled extends Tuning {
  readonly logLevel: Level;
}

/** As pgraft has it, where only the other of the two is set. */
const DEFAULT_ENTRIES = 10_000;
/** A reload is followed within this and one answer of the own store. */
const LOOK_MS = 1000;
/** Fewer heartbeats to an election than this make a slow moment look like a dead leader. */
const COMFORTABLE = 10;

/** What node.yaml and these settings say together. Throws, naming the setting, where one is unknown or not valid. */
export async function settle(config: Config, store: Queryable): Promise<Settled> {
  const set = await pgraftSettings(store, config.timing);
  const { max_log_entries: kept, snapshot_count: between } = set;
  const maxLogEntries =
    kept === undefined && between === undefined
      ? config.raft.maxLogEntries
      : (kept ?? DEFAULT_ENTRIES) + (between ?? DEFAULT_ENTRIES);
  return {
    timing: {
      electionMs: set.election_timeout ?? config.timing.electionMs,
      heartbeatMs: set.heartbeat_interval ?? config.timing.heartbeatMs,
    },
    keep: { maxLogEntries, maxLogBytes: config.raft.maxLogBytes },
    logLevel: set.log_level ?? config.logLevel,
  };
}

export interface FollowOptions {
  /** As node.yaml has it. */
  readonly config: Config;
  /** What the worker began with. */
  readonly settled: Settled;
  readonly raft: Pick<Raft, "tune">;
  readonly setLevel: (level: Level) => void;
  readonly store: Queryable;
  readonly ask: AskUpkeep;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Runs until the signal aborts. */
export async function followSettings(options: FollowOptions): Promise<void> {
  const { clock, log, signal } = options;
  let inForce = options.settled;
  let loadedAt = Number.NEGATIVE_INFINITY;
  let refused: string | undefined;
  options.setLevel(inForce.logLevel);
  warnOf(inForce, log);
  while (!signal.aborted) {
    try {
      const { config_loaded_at: at } = await options.ask();
      if (at > loadedAt) {
        const next = await settledOrRefusal(options);
        if (typeof next !== "string") inForce = take(inForce, next, options);
        else if (next !== refused) {
          log.error({ event: "settings.refused" }, `${next}: what was in force stays, all of it`);
        }
        refused = typeof next === "string" ? next : undefined;
        loadedAt = at;
      }
    } catch (error) {
      // A store that restarts is asked again.
      log.debug({ event: "control.gone" }, `no settings were read: ${error}`);
    }
    await clock.sleep(untilBeat(clock.now(), LOOK_MS), signal);
  }
}

async function settledOrRefusal({ config, store }: FollowOptions): Promise<Settled | string> {
  try {
    return await settle(config, store);
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === undefined) throw error;
    return refusal;
  }
}

function take(before: Settled, next: Settled, { raft, setLevel, log }: FollowOptions): Settled {
  const changes = changesOf(before, next);
  if (changes.length === 0) return before;
  log.info({ event: "settings.followed" }, `from now on: ${changes.join(", ")}`);
  setLevel(next.logLevel);
  raft.tune(next);
  warnOf(next, log);
  return next;
}

function changesOf(before: Settled, next: Settled): string[] {
  const shown = ({ timing, keep, logLevel }: Settled) => ({
    election_timeout: `${timing.electionMs} ms`,
    heartbeat_interval: `${timing.heartbeatMs} ms`,
    "max_log_entries + snapshot_count": keep.maxLogEntries,
    log_level: logLevel,
  });
  const old: Readonly<Record<string, unknown>> = shown(before);
  return Object.entries(shown(next))
    .filter(([name, value]) => value !== old[name])
    .map(([name, value]) => `${name} ${value} (was ${old[name]})`);
}

function warnOf({ timing: { electionMs, heartbeatMs } }: Settled, log: Log): void {
  if (electionMs >= COMFORTABLE * heartbeatMs) return;
  log.warn(
    { event: "settings.followed", electionMs, heartbeatMs },
    `the election timeout is less than ${COMFORTABLE} heartbeats: a slow moment may cost a leader`,
  );
}
