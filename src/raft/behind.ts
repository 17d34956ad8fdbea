/**
 * A store that falls behind what is committed, on this node: it tries again, and a leader lets another lead.
 *
 * A leader decides by what its own store has applied. Where that takes or applies nothing more, a full disk say (H66),
 * its heartbeats are confirmed all the same and nobody else campaigns: it asks the others to lead itself. Whoever
 * cannot apply either refuses (`mayCampaign`), and this one goes on.
 */
import type { Clock } from "../clock/clock.ts";
import type { LogIndex } from "../core/ids.ts";
import type { Queryable } from "../db/call.ts";
import { applyAgain, type StoreSample } from "../db/raft.ts";
import type { Log } from "../log/logger.ts";
import { type HandOverOptions, type LedTerm, transfer } from "./hand-over.ts";
import type { Replicator } from "./replicator.ts";

const LOOK_MS = 500;
/** Longer than one append may take: a disk that only stalls is waited for. */
const BEHIND_MS = 4000;
/** When nobody else could lead: proposals wait meanwhile, so not at once again. */
const AGAIN_MS = 10_000;
/** For one heir: it is elected within this or not at all. */
const HEIR_MS = 500;
/** From one try to apply what could not be applied to the next. */
const APPLY_AGAIN_MS = 1000;

/** To be told of every look at the own store. In a quiet cluster no entry comes that would have it apply the rest. */
export function applierOf(
  store: Queryable,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): (sample: Pick<StoreSample, "alarm" | "appliedIndex" | "commitIndex">) => void {
  let applying = false;
  let triedAt = Number.NEGATIVE_INFINITY;
  const apply = async () => {
    applying = true;
    try {
      while (await applyAgain(store)) triedAt = clock.now();
    } catch (error) {
      log.debug({ event: "control.gone" }, String(error));
    } finally {
      [applying, triedAt] = [false, clock.now()];
    }
  };
  return ({ appliedIndex, commitIndex }) => {
    if (applying || appliedIndex >= commitIndex) return;
    if (clock.now() - triedAt >= APPLY_AGAIN_MS) void apply();
  };
}

export interface BehindOptions extends HandOverOptions {
  /** How far the own store has applied the log. */
  readonly applied: () => LogIndex;
}

type Led = Omit<LedTerm, "replicator"> & {
  readonly replicator: LedTerm["replicator"] & Pick<Replicator, "readIndex">;
};

/** Until the term is over. */
export async function yieldWhenBehind(own: BehindOptions, led: Led): Promise<void> {
  const { clock, applied, log } = own;
  const { replicator, signal, term } = led;
  let [was, since] = [applied(), clock.now()];
  while (!signal.aborted) {
    await clock.sleep(LOOK_MS, signal);
    const [now, committed] = [applied(), replicator.readIndex() ?? 0n];
    if (now > was || now >= committed) [was, since] = [now, clock.now()];
    if (signal.aborted || clock.now() - since < BEHIND_MS) continue;
    const why = `the own store has applied the log to ${now} of ${committed} and no further: another should lead`;
    log.warn({ event: "raft.alarm", term }, why);
    for (const to of replicator.heirs()) {
      if (!signal.aborted) await transfer(own, to, { ...led, limitMs: HEIR_MS });
    }
    since = clock.now() + AGAIN_MS - BEHIND_MS;
  }
}
