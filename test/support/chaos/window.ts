/** One window of a run: faults in, time passes, faults out, the cluster comes together again. */
import { monotonicClock } from "../../../src/clock/clock.ts";
import type { Bed } from "../bed/bed.ts";
import type { Fault, Injected, Scene } from "../faults/fault.ts";
import { forgotten, promisesOf } from "../faults/promises.ts";
import { type Healthy, untilHealthy } from "../health.ts";
import { isOverloaded, watchLag } from "../lag.ts";
import type { Load } from "../load/load.ts";
import type { Random } from "../random.ts";

/** All faults off: so long the cluster may take to be whole again, milliseconds (D11). */
export const CONVERGENCE_MS = 60_000;
/** What no load of the machine excuses. */
const NEVER_MS = 180_000;
/** A primary fault that stops nobody else is followed by a write within this, whatever the load. */
const WRITE_MS = 30_000;

export interface InjectedFault {
  readonly fault: Fault;
  readonly what: string;
  /** How its effect was seen. */
  readonly proof: string;
}

export interface Window {
  readonly injected: readonly InjectedFault[];
  /** Chosen, and not to be had: the first fault had taken its target away. It may have done something all the same. */
  readonly inapplicable: readonly { readonly fault: Fault; readonly why: string }[];
  readonly before: Healthy;
  readonly after: Healthy;
  /** The longest time without an acknowledged write, from the first fault to full health. */
  readonly gapMs: number;
  /** Votes, pledges and entries that a control store had promised and no longer holds: must be empty (R2, R6). */
  readonly forgotten: readonly string[];
  /** From the last healing to full health. */
  readonly convergedMs: number;
  /** 99th percentile of our own event loop's lag. */
  readonly lagMs: number;
  /** Times measured in it are nobody's fault. */
  readonly overloaded: boolean;
}

export interface WindowOptions {
  readonly bed: Bed;
  readonly load: Load;
  readonly random: Random;
  readonly say?: (line: string) => void;
  /** Overrides what the faults say. */
  readonly lastsMs?: number;
}

const quietly = () => undefined;

/** Inject `faults` together, prove each, hold, heal all, converge. Throws when an effect is missing. */
export async function faultWindow(
  faults: readonly Fault[],
  { bed, load, random, say = quietly, lastsMs }: WindowOptions,
): Promise<Window> {
  const before = await untilHealthy(bed, NEVER_MS);
  const scene: Scene = { bed, random, ...before };
  const promised = await promisesOf(bed);
  const lag = watchLag();
  const from = monotonicClock.now();
  const injected: InjectedFault[] = [];
  const inapplicable: { fault: Fault; why: string }[] = [];
  const brokenOff = new AbortController();
  const ends: Promise<void>[] = [];
  try {
    for (const fault of faults) {
      const found = await inflicted(fault, scene).catch((error: Error) => {
        // The first of several must be possible: the cluster is healthy.
        if (injected.length === 0) throw error;
        inapplicable.push({ fault, why: error.message });
        say(`${fault.id} ${fault.name}: not to be had: ${error.message}`);
        return undefined;
      });
      if (found === undefined) continue;
      const { one, proof } = found;
      say(`${fault.id} ${one.what}: ${proof}`);
      injected.push({ fault, what: one.what, proof });
      const lasts = lastsMs ?? random.int(...fault.lasts);
      const answered = fault.failover === "must" && faults.length === 1 ? load : undefined;
      const end = untilHealed(one, lasts, answered, brokenOff.signal);
      end.catch(() => brokenOff.abort());
      ends.push(end);
    }
  } catch (error) {
    brokenOff.abort();
    throw error;
  } finally {
    await Promise.all(ends);
  }
  const healed = monotonicClock.now();
  const after = await untilHealthy(bed, NEVER_MS);
  const convergedMs = monotonicClock.now() - healed;
  // The hasty one gives up on a slow server, the patient one waits long for a dead one.
  const gapMs = Math.min(load.hasty.gapSince(from).ms, load.patient.gapSince(from).ms);
  const lagMs = lag.stop();
  const lost = await forgotten(bed, promised);
  return {
    injected,
    inapplicable,
    before,
    after,
    gapMs,
    forgotten: lost,
    convergedMs,
    lagMs,
    overloaded: isOverloaded(lagMs),
  };
}

/** A fault whose effect is not seen is undone at once. */
async function inflicted(fault: Fault, scene: Scene): Promise<{ one: Injected; proof: string }> {
  const one = await fault.inject(scene);
  try {
    return { one, proof: await one.proof() };
  } catch (error) {
    await one.heal();
    throw error;
  }
}

/** Each fault lasts as long as it says, however long the next one takes; and until writes go on, if they must. */
async function untilHealed(
  one: Injected,
  lastsMs: number,
  answered: Load | undefined,
  brokenOff: AbortSignal,
): Promise<void> {
  try {
    await answered?.hasty.nextAckOverNewConnection(one.at, WRITE_MS);
    const rest = Math.max(0, one.at + lastsMs - monotonicClock.now());
    await monotonicClock.sleep(rest, brokenOff);
  } finally {
    await one.heal();
  }
}
