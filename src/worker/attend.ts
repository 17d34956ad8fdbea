/** This worker's sign of life in the own store, with what only it knows; whoever looks asks the store (`pgraft_*`). */
import { type Clock, untilBeat } from "../clock/clock.ts";
import type { Config } from "../config/schema.ts";
import type { Queryable } from "../db/call.ts";
import { workerLives } from "../db/node.ts";
import type { Log } from "../log/logger.ts";
import type { Raft } from "../raft/run.ts";

export interface AttendOptions {
  /** As node.yaml has it. */
  readonly config: Pick<Config, "timing">;
  /** Of this run. */
  readonly instance: string;
  readonly raft: Pick<Raft, "standing" | "tuning">;
  readonly store: Queryable;
  readonly debugging: (on: boolean) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Often enough that a leader's last majority is news within an election timeout. */
const EVERY = { mostMs: 400, leastMs: 25, perElection: 2.5 } as const;

/** Runs until the signal aborts. Nothing waits for it, and nothing decides by it. */
export async function attend(options: AttendOptions): Promise<void> {
  const { config, instance, raft, store, debugging, clock, log, signal } = options;
  const { mostMs, leastMs, perElection } = EVERY;
  let telling = false;
  while (!signal.aborted) {
    const { timing } = raft.tuning;
    try {
      const life = { instance, ...timing, own: config.timing, ...raft.standing() };
      const wanted = await workerLives(store, life);
      if (wanted !== telling) {
        telling = wanted;
        debugging(wanted);
        log.debug({ event: "worker.debugging" }, "more is told, by order of pgraft_set_debug()");
      }
    } catch (error) {
      // A store that restarts has nobody to show it to; the next word tells all again.
      log.debug({ event: "control.gone" }, `no sign of life was left: ${error}`);
    }
    const everyMs = Math.max(leastMs, Math.min(mostMs, timing.electionMs / perElection));
    await clock.sleep(untilBeat(clock.now(), everyMs), signal);
  }
}
