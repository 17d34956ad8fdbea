/** What a running data server needs now and then, and no failover waits for: slots, roles, our functions. */

import type { Sample } from "../core/gauges.ts";
import type { DataConnection } from "../db/data-connection.ts";
import { watchArchive } from "./archive.ts";
import { watchCollations } from "./collations.ts";
import { type Agent, freshConnection, isAlive } from "./context.ts";
import { renewLife } from "./data-life.ts";
import { measure } from "./gauges.ts";
import { deliverActs } from "./guard.ts";
import { freshLogicalMemory, type LogicalMemory, tendLogical } from "./logical.ts";
import { furnish } from "./promote.ts";
import { nextWal, tendSlots } from "./slots.ts";
import { sweepAside } from "./swap.ts";

const EVERY_MS = 5000;
/** A standby that has not streamed for so long asks whether what it needs still exists. */
const STUCK_MS = 5000;
/** And for so long, though it exists: whatever keeps it, a new copy does not share it. */
const HOPELESS_MS = 40_000;

/** How old a copy of the data may be and still pass for the data themselves, at most twice this. */
const RENEW_MS = 60_000;

interface Memory {
  renewedAt: number;
  stuckSince: number | undefined;
  /** The committed mode from which this node's file was last said to differ. */
  differs: string;
  /** Epoch and members for which roles and functions were made sure of. */
  furnished: string;
  /** What was measured in the last minute. */
  samples: readonly Sample[];
  /** An archive that fails was told of; a standby does not know. */
  archiveFails: boolean | undefined;
  /** What was told of collations, and of which run of the server: they change with its programs. */
  collations: { readonly pid: number; readonly told: string };
  readonly logical: LogicalMemory;
}

/** Until `signal` aborts. A failure is logged; the next round tries again. */
export async function runChores(agent: Agent, signal: AbortSignal): Promise<void> {
  const memory: Memory = {
    renewedAt: agent.clock.now(),
    stuckSince: undefined,
    differs: "",
    furnished: "",
    samples: [],
    archiveFails: undefined,
    collations: { pid: 0, told: "" },
    logical: freshLogicalMemory(),
  };
  while (!signal.aborted) {
    await agent.clock.sleep(EVERY_MS, signal);
    if (signal.aborted) return;
    try {
      await round(agent, memory, signal);
    } catch (error) {
      agent.log.warn({ event: "agent.failed", error: String(error) }, "a chore failed");
    }
  }
}

async function round(agent: Agent, memory: Memory, signal: AbortSignal): Promise<void> {
  const { state } = agent;
  if (state.activity === undefined && state.disk?.kind === "ours") await sweepAside(agent, signal);
  await compareMode(agent, memory);
  await deliverActs(agent);
  if (!isAlive(agent) || state.look === undefined || state.activity !== undefined) return;
  const connection = await freshConnection(agent);
  try {
    await tendSlots(agent, connection.db);
    await tendLogical(agent, connection.db, memory.logical);
    await compareCollations(agent, memory, connection);
    await renew(agent, memory);
    if (state.leads?.gateOpen) await asPrimary(agent, memory, connection);
    else {
      memory.archiveFails = undefined;
      await asStandby(agent, memory);
    }
    memory.samples = await measure(agent, connection.db, memory.samples);
  } finally {
    connection.end();
  }
}

/** The mode was committed when the cluster was founded: a file that says otherwise changes nothing, and is told of. */
async function compareMode({ config, view, store }: Agent, memory: Memory): Promise<void> {
  const mode = config.syncMode ?? view.mode;
  if (view.epoch === 0n || mode === view.mode || memory.differs === view.mode) return;
  const reason =
    `sync.mode is ${mode} in the file of ${config.node.name}, ` +
    `the cluster's is ${view.mode}: the cluster's holds`;
  await store.noteAct({ event: "config_differs", reason, detail: { key: "sync.mode" } });
  memory.differs = view.mode;
}

async function compareCollations(
  agent: Agent,
  memory: Memory,
  { db }: DataConnection,
): Promise<void> {
  const pid = agent.state.server?.pid ?? 0;
  if (memory.collations.pid === pid) return;
  const told = await watchCollations(agent, db, memory.collations.told);
  memory.collations = { pid, told };
}

async function renew(agent: Agent, memory: Memory): Promise<void> {
  const now = agent.clock.now();
  if (agent.state.disk?.kind !== "ours" || now - memory.renewedAt < RENEW_MS) return;
  await renewLife(agent);
  memory.renewedAt = now;
}

async function asPrimary(agent: Agent, memory: Memory, { db }: DataConnection): Promise<void> {
  const { view } = agent;
  const key = `${view.epoch} ${view.members.map(({ node_id }) => node_id).join(" ")}`;
  if (memory.furnished !== key) {
    await furnish(agent, db);
    memory.furnished = key;
  }
  memory.archiveFails = await watchArchive(agent, db, memory.archiveFails);
}

/** A standby whose next WAL the primary no longer has needs a new copy (H44), and one that never gets it. */
async function asStandby(agent: Agent, memory: Memory): Promise<void> {
  const { state, view, clock, log } = agent;
  const following = view.goal === "standby" && state.wanted?.upstream?.epoch === view.epoch;
  const replayed = state.look?.replay_lsn ?? null;
  if (!following || state.look?.receiver === "streaming" || replayed === null) {
    memory.stuckSince = undefined;
    return;
  }
  memory.stuckSince ??= clock.now();
  const stuckMs = clock.now() - memory.stuckSince;
  if (stuckMs < STUCK_MS) return;
  const { epoch } = view;
  const seen = await nextWal(agent, replayed);
  if (seen.next === "unknown") memory.stuckSince = clock.now() - STUCK_MS;
  const why = seen.next === "none" ? seen.why : hopeless(seen.next, stuckMs);
  if (why === undefined || agent.view.epoch !== epoch) return;
  log.warn({ event: "agent.decided", epoch }, why);
  state.rejoin = { epoch, by: "copy", why };
  agent.nudge();
}

function hopeless(next: "there" | "unknown", stuckMs: number): string | undefined {
  if (next === "unknown" || stuckMs < HOPELESS_MS) return undefined;
  return `it has not streamed for ${Math.round(stuckMs / 1000)} s, though the primary has what it needs`;
}
