/** The agent: keeps this node's data server what the log says it should be. */
import type { Clock } from "../clock/clock.ts";
import { together } from "../clock/together.ts";
import type { Config } from "../config/schema.ts";
import type { Queryable } from "../db/call.ts";
import type { Hints } from "../db/hints.ts";
import type { AgentView } from "../db/node.ts";
import type { Log } from "../log/logger.ts";
import type { Binaries } from "../postgres/binaries.ts";
import type { Owner } from "../postgres/owner.ts";
import { type Agent, connectionsTo, freshState, type LongWork, pathsOf } from "./context.ts";
import { LeaseKeeper, type LeaseOptions } from "./lease.ts";
import { createLookout } from "./lookout.ts";
import { runLoop, sentenceOf } from "./loop.ts";
import { createPublisher } from "./publish.ts";
import { adopt } from "./servers.ts";
import { checkOperatorSettings } from "./settings.ts";
import { type NodeStore, nodeStore } from "./store.ts";

export interface AgentOptions {
  readonly config: Config;
  readonly binaries: Binaries;
  readonly owner: Owner | undefined;
  readonly clock: Clock;
  /** How long work on the data directory is done. */
  readonly work: LongWork;
  readonly log: Log;
  readonly hints: Hints;
  readonly signal: AbortSignal;
  readonly lease: LeaseOptions;
}

/** Until `signal` aborts; the data server runs on. Throws only on a configuration it must refuse. */
export async function runAgent({
  store,
  ...options
}: AgentOptions & { readonly store: Queryable }): Promise<void> {
  await runAgentOn({ ...options, store: nodeStore(store) });
}

/** The same over anything that keeps the node's promises. */
export async function runAgentOn(
  options: AgentOptions & { readonly store: NodeStore },
): Promise<void> {
  const { hints, signal } = options;
  const view = await firstView(options);
  if (view === undefined) return;
  const agent = createAgent({ ...options, view, nudge: () => hints.nudge() });
  try {
    await together({ signal, clock: options.clock }, (end) => [
      agent.lease.run(end),
      untilAdopted(agent, end).then(() => runLoop(agent, hints, end)),
    ]);
  } finally {
    agent.hands.drop();
    agent.eyes.drop();
  }
}

/** The agent's parts put together; nothing is started or read yet. */
export function createAgent({
  view,
  nudge,
  ...options
}: Omit<AgentOptions, "hints" | "signal"> & {
  readonly store: NodeStore;
  readonly view: AgentView;
  readonly nudge: () => void;
}): Agent {
  const { config, store, log } = options;
  const { data } = config;
  if (data === undefined) throw new Error("a witness has no agent");
  checkOperatorSettings(data.settings);
  const paths = pathsOf(config, data);
  const { binaries, owner, clock, work } = options;
  const agent: Agent = {
    config,
    data,
    binaries,
    owner,
    clock,
    log,
    store,
    work,
    paths,
    ...connectionsTo(config, paths, data),
    state: freshState(),
    lease: new LeaseKeeper(() => agent, options.lease),
    view,
    nudge,
    lookout: createLookout(() => agent),
    ...createPublisher(() => agent),
  };
  return agent;
}

const RETRY_MS = 200;

/** Nothing is decided before it is known whether a server runs already. */
async function untilAdopted(agent: Agent, signal: AbortSignal): Promise<void> {
  const { state, log, clock } = agent;
  while (!signal.aborted) {
    try {
      await adopt(agent);
      state.problem = undefined;
      return;
    } catch (error) {
      const problem = sentenceOf(error);
      if (problem !== state.problem) {
        log.warn(
          { event: "agent.failed", error: String(error) },
          "could not adopt the data server",
        );
      }
      state.problem = problem;
      await tellUnadopted(agent);
      await clock.sleep(RETRY_MS, signal);
    }
  }
}

/** All but the primary's node: a worker that says nothing of its server any more is what another takes over by. */
async function tellUnadopted(agent: Agent): Promise<void> {
  // An old view is better than none.
  agent.view = await agent.store.view().catch(() => agent.view);
  if (agent.view.primary_id !== agent.view.node_id) await agent.publishChanges();
}

async function firstView({ store, clock, log, signal }: AgentOptions & { store: NodeStore }) {
  while (!signal.aborted) {
    try {
      return await store.view();
    } catch (error) {
      log.warn({ event: "agent.failed", error: String(error) }, "the control store did not answer");
      await clock.sleep(RETRY_MS, signal);
    }
  }
  return undefined;
}
