/** One physical slot per member on every member: created, advanced, recreated when lost, dropped with its member. */

import { nodePassword } from "../config/secrets.ts";
import { dialTls } from "../config/tls.ts";
import { formatLsn, type Lsn, type NodeId, nodeRole, slotName } from "../core/ids.ts";
import type { Queryable } from "../db/call.ts";
import { connect } from "../db/connect.ts";
import { flushedLsn } from "../db/data-primary.ts";
import {
  advanceSlot,
  createSlot,
  dropSlot,
  listSlots,
  oldestSegment,
  type Slot,
} from "../db/data-slots.ts";
import { readControlFile } from "../postgres/control-file.ts";
import type { Agent } from "./context.ts";

/** Slots every other data member needs here. */
function wantedSlots(agent: Agent): string[] {
  const { view } = agent;
  return view.members
    .filter(({ node_id, data_port }) => node_id !== view.node_id && data_port !== null)
    .map(({ node_id }) => slotName(node_id));
}

/** Before a promotion: what members will ask for must be there. Nothing to do when it was seen to be, lately. */
export async function createMissingSlots(agent: Agent): Promise<void> {
  if (agent.state.slotsFor === wantedSlots(agent).join()) return;
  const { db } = await agent.hands.get();
  const there = new Map((await listSlots(db)).map((slot) => [slot.name, slot]));
  for (const name of wantedSlots(agent)) {
    const slot = there.get(name);
    if (slot !== undefined && slot.restart_lsn !== null && !slot.lost) continue;
    if (slot !== undefined && !slot.active) await dropSlot(db, name);
    if (slot === undefined || !slot.active) await createSlot(db, name);
  }
}

/** Now and then, on primary and standby alike; `db` is not the acts' connection. */
export async function tendSlots(agent: Agent, db: Queryable): Promise<void> {
  const { view } = agent;
  const wanted = new Set(wantedSlots(agent));
  const slots = await listSlots(db);
  for (const slot of slots) {
    const usable = wanted.has(slot.name) && slot.restart_lsn !== null && !slot.lost;
    if (!usable && !slot.active) await dropSlot(db, slot.name);
  }
  const kept = new Set(
    slots
      .filter((slot) => slot.active || (slot.restart_lsn !== null && !slot.lost))
      .map(({ name }) => name),
  );
  for (const name of wanted) if (!kept.has(name)) await createSlot(db, name);
  agent.state.slotsFor = [...wanted].join();
  const streamsFrom = agent.state.wanted?.upstream?.nodeId;
  if (streamsFrom === undefined || view.primary_id !== streamsFrom) return;
  const limit = agent.state.look?.replay_lsn ?? null;
  if (limit !== null) await copyPositions(agent, db, slots, limit);
}

/** A standby keeps for each sibling what the primary keeps for it: less would be missing after a failover. */
async function copyPositions(
  agent: Agent,
  db: Queryable,
  own: readonly Slot[],
  limit: Lsn,
): Promise<void> {
  const theirs = await atPrimary(agent, listSlots);
  if (theirs === undefined) return;
  for (const { name, restart_lsn: now, active } of own) {
    const there = theirs.find((slot) => slot.name === name)?.restart_lsn ?? undefined;
    if (there === undefined || now === null || active) continue;
    const to = there < limit ? there : limit;
    if (to > now) await advanceSlot(db, name, to);
  }
  // The primary keeps none for itself; what it will need after a failover is what it has: everything replayed here.
  const primary = own.find(({ name }) => name === slotName(agent.view.primary_id ?? 0));
  if (primary?.restart_lsn != null && !primary.active && limit > primary.restart_lsn) {
    await advanceSlot(db, primary.name, limit);
  }
}

/** How long an answer is waited for: a statement's limit in milliseconds, and whatever makes it worthless before. */
export interface Patience {
  readonly limitMs?: number;
  readonly signal?: AbortSignal;
}

/** Ask the primary over TCP, as this node's role; undefined when it does not answer. */
export function atPrimary<T>(
  agent: Agent,
  ask: (db: Queryable) => Promise<T>,
  patience?: Patience,
): Promise<T | undefined> {
  return atMember(agent, agent.view.primary_id, ask, patience);
}

/** The same of any member. */
export async function atMember<T>(
  { view, config }: Agent,
  id: NodeId | null,
  ask: (db: Queryable) => Promise<T>,
  { limitMs = 2000, signal }: Patience = {},
): Promise<T | undefined> {
  const member = view.members.find(({ node_id }) => node_id === id);
  if (member === undefined || member.data_host === null || member.data_port === null)
    return undefined;
  try {
    const client = await connect({
      host: member.data_host,
      port: member.data_port,
      user: nodeRole(config.node.id),
      password: nodePassword(config, config.node.id),
      tls: dialTls(config),
      applicationName: "pgreplica_agent",
      connectLimitMs: 2000,
      statementLimitMs: limitMs,
    });
    // A farewell nobody waits for: what is still asked fails at once, whether the other side answers or not.
    const hangUp = () => void client.end().catch(() => undefined);
    signal?.addEventListener("abort", hangUp, { once: true });
    try {
      signal?.throwIfAborted();
      return await ask(client);
    } finally {
      signal?.removeEventListener("abort", hangUp);
      hangUp();
    }
  } catch {
    // Gated, restarting or gone: there is a next time.
    return undefined;
  }
}

/** What the primary's WAL is to a standby that does not stream. `unknown`: the primary cannot be asked. */
export type NextWal =
  | { readonly next: "there" | "unknown" }
  | { readonly next: "none"; readonly why: string };

/** Whether this standby can go on from where it is: the primary may have dropped what comes next, or not reached it. */
export async function nextWal(agent: Agent, replayed: Lsn): Promise<NextWal> {
  const asked = await atPrimary(agent, async (db) => ({
    oldest: await oldestSegment(db),
    end: await flushedLsn(db),
  }));
  if (asked?.oldest === undefined) return { next: "unknown" };
  const { oldest, end } = asked;
  const at = `it is at ${formatLsn(replayed)}`;
  if (replayed > end)
    return { next: "none", why: `${at}, beyond the primary's end ${formatLsn(end)}` };
  const { walSegmentBytes } = await readControlFile(agent.paths.dataDir);
  const high = BigInt(`0x${oldest.slice(0, 8)}`);
  const low = BigInt(`0x${oldest.slice(8)}`);
  const first = (high << 32n) + low * BigInt(walSegmentBytes);
  if (replayed >= first) return { next: "there" };
  return { next: "none", why: `${at}, and the primary's WAL begins at ${formatLsn(first)}` };
}
