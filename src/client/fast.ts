/** One read raced on several nodes: the first success wins, the others are cancelled on their servers. */
import { attempting, type Plan } from "./attempts.ts";
import { Call } from "./call.ts";
import type { Lease } from "./node.ts";
import type { Target, Topology } from "./topology.ts";

export interface Race<T> {
  readonly call: Call;
  readonly target: Target;
  readonly fanout: number;
  readonly plan: Omit<Plan, "target">;
  readonly acquireTimeoutMs: number;
  readonly run: (lease: Lease, call: Call) => Promise<T>;
  /** Losers clean up after the race was won: `end` waits for them too. */
  readonly inBackground: (work: Promise<unknown>) => void;
}

/** Losers that are about to answer are let be: a cancel request is a connection of its own. */
const GRACE_MS = 10;

/** Rejects with the last error when every node failed. */
export async function raced<T>(topology: Topology, race: Race<T>): Promise<T> {
  const { call, target, fanout } = race;
  const nodes = (await topology.find(target, call)).slice(0, fanout);
  const won = new AbortController();
  const signal = call.stop === undefined ? won.signal : AbortSignal.any([won.signal, call.stop]);
  const runners = nodes.map(async ({ name }) => {
    const own = new Call(call.clock, race.acquireTimeoutMs, { signal });
    try {
      // Each stays where it is: another node is another runner.
      const plan = { ...race.plan, target: { ...target, pin: name } };
      return await attempting(topology, own, plan, (lease, progress) => {
        progress.phase = "first";
        return race.run(lease, own);
      });
    } finally {
      own.end();
    }
  });
  const ended = Promise.allSettled(runners);
  race.inBackground(ended);
  let last: unknown;
  try {
    return await Promise.any(
      runners.map((runner) =>
        runner.catch((error: unknown) => {
          last = error;
          throw error;
        }),
      ),
    );
  } catch {
    call.check();
    throw last;
  } finally {
    call.attempts = Math.max(1, call.attempts);
    const quiet = new AbortController();
    ended.then(() => quiet.abort(null));
    race.inBackground(call.clock.sleep(GRACE_MS, quiet.signal).then(() => won.abort(null)));
  }
}
