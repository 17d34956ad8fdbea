/**
 * One read that waits for no slow node: the nearest is asked, the next one once the answer takes unusually long or
 * fails, and so on. The first success wins, the others are cancelled on their servers. (Dean and Barroso, The Tail at
 * Scale, 2013: asked all at once every read costs its multiple, and servers without room are all the slower for it.)
 */
import { attempting, type Plan } from "./attempts.ts";
import { Call } from "./call.ts";
import type { Lease } from "./node.ts";
import type { Target, Topology } from "./topology.ts";

export interface Race<T> {
  readonly call: Call;
  readonly target: Target;
  readonly fanout: number;
  /** After so long without an answer the next node is asked too. */
  readonly afterMs: number;
  readonly plan: Omit<Plan, "target">;
  readonly acquireTimeoutMs: number;
  readonly run: (lease: Lease, call: Call) => Promise<T>;
  /** How long the answer took that won, from when its node was asked. */
  readonly onWon: (tookMs: number) => void;
  /** Losers clean up after the race was won: `end` waits for them too. */
  readonly inBackground: (work: Promise<unknown>) => void;
}

/** Losers that are about to answer are let be: a cancel request is a connection of its own. */
const GRACE_MS = 10;

/** Rejects with the last error when every node failed. */
export async function raced<T>(topology: Topology, race: Race<T>): Promise<T> {
  const { call, target, fanout, afterMs } = race;
  const { clock } = call;
  const nodes = (await topology.find(target, call)).slice(0, fanout);
  const won = new AbortController();
  const signal = call.stop === undefined ? won.signal : AbortSignal.any([won.signal, call.stop]);
  const answer = Promise.withResolvers<T>();
  const runners: Promise<void>[] = [];
  let isDecided = false;
  let news = new AbortController();
  let last: unknown;
  const ask = async (name: string) => {
    const asked = clock.now();
    try {
      const value = await askOne(topology, race, { name, signal });
      if (!isDecided) race.onWon(clock.now() - asked);
      isDecided = true;
      answer.resolve(value);
    } catch (error) {
      last = error;
    }
    news.abort(null);
  };
  for (const { name } of nodes) {
    news = new AbortController();
    runners.push(ask(name));
    if (afterMs > 0 && runners.length < nodes.length) await clock.sleep(afterMs, news.signal);
    if (isDecided || call.stop?.aborted === true) break;
  }
  const ended = Promise.all(runners);
  race.inBackground(ended);
  ended.then(() => answer.reject(last));
  try {
    return await answer.promise;
  } catch (error) {
    call.check();
    throw error;
  } finally {
    call.attempts = Math.max(1, call.attempts);
    if (runners.length > 1) {
      const quiet = new AbortController();
      ended.then(() => quiet.abort(null));
      race.inBackground(clock.sleep(GRACE_MS, quiet.signal).then(() => won.abort(null)));
    }
  }
}

/** Each stays where it is: another node is another runner. */
async function askOne<T>(
  topology: Topology,
  race: Race<T>,
  { name, signal }: { readonly name: string; readonly signal: AbortSignal },
): Promise<T> {
  const own = new Call(race.call.clock, race.acquireTimeoutMs, { signal });
  try {
    const plan = { ...race.plan, target: { ...race.target, pin: name } };
    return await attempting(topology, own, plan, (lease, progress) => {
      progress.phase = "first";
      return race.run(lease, own);
    });
  } finally {
    own.end();
  }
}
