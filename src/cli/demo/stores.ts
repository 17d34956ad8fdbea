/** Looks at every control store of the demo, again and again; one that hangs holds up nobody else. */
import type { Clock } from "../../clock/clock.ts";
import { connect } from "../../db/connect.ts";
import { type Hints, quietHints, unhurried } from "../../db/hints.ts";
import { listenForEvents } from "../../db/pg-replica.ts";
import type { Store } from "../store.ts";
import { ownStore } from "../store.ts";
import type { DemoNode } from "./layout.ts";

export interface WatchOptions {
  readonly nodes: readonly DemoNode[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Milliseconds between two looks at one store; an event makes it sooner. */
  readonly everyMs: () => number;
  /** How long an event waits for those that follow it: a failover needs the processors more. */
  readonly restMs: () => number;
  /** Whatever it throws means: this store cannot be looked at now. */
  readonly look: (store: Store, node: DemoNode) => Promise<void>;
}

const STATEMENT_LIMIT_MS = 2000;

/** Resolves when `signal` aborts and all connections are closed. */
export async function watchStores(options: WatchOptions): Promise<void> {
  await Promise.all(options.nodes.map((node) => watchOne(node, options)));
}

async function watchOne(node: DemoNode, { clock, signal, everyMs, restMs, look }: WatchOptions) {
  let store: Store | undefined;
  const hints = unhurried(quietHints(clock), clock, restMs);
  while (!signal.aborted) {
    try {
      store ??= await open(node, hints);
      await look(store, node);
    } catch {
      // Starting, stopping, killed or frozen: that is what a demo is for. Look again, afresh.
      await close(store);
      store = undefined;
    }
    await hints.within(everyMs(), signal);
  }
  await close(store);
}

async function open({ config }: DemoNode, hints: Hints): Promise<Store> {
  const store = await connect({
    ...ownStore(config, { statementLimitMs: STATEMENT_LIMIT_MS }),
    onLost: () => hints.nudge(),
  });
  try {
    await listenForEvents(store, () => hints.nudge());
    return store;
  } catch (error) {
    await close(store);
    throw error;
  }
}

/** Try the stores in turn until `work` succeeds on one; undefined when it does on none. */
export async function onAnyStore<T>(
  nodes: readonly DemoNode[],
  limitMs: number,
  work: (store: Store) => Promise<T>,
): Promise<T | undefined> {
  for (const { config } of nodes) {
    let store: Store | undefined;
    try {
      store = await connect(ownStore(config, { statementLimitMs: limitMs }));
      return await work(store);
    } catch {
      // This one is down or knows no leader: the next may.
    } finally {
      await close(store);
    }
  }
  return undefined;
}

/** A frozen server never says goodbye, so we do not wait for it. */
async function close(store: Store | undefined): Promise<void> {
  store?.end().catch(() => undefined);
}
