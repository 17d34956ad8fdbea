/**
 * Finds a standby whose copy is as good as the primary's, among those an operator has named (`clone_from`).
 *
 * 1. Nothing is confirmed here any more: the own server was fenced before. The primary's flushed end, read from then
 *    on, is the least that a copy must hold: a commit counted this node only up to what that primary had sent (D1).
 * 2. The primary keeps a slot for this node, whose restart_lsn is not beyond that end. Streaming begins in the segment
 *    where the copy ends, and so at or behind the slot; WAL between where the copy's recovery begins (the standby's
 *    last restartpoint, perhaps older than the slot) and its end comes with the copy itself (BASE_BACKUP ... WAL).
 * 3. The primary makes a checkpoint, and the standby replays it. PostgreSQL's manual, "Base Backup from a standby": the
 *    backup ends at pg_control's minimum recovery point, which may be behind what the standby has replayed. But its
 *    first step is a restartpoint, and whether that is made at this checkpoint or was made already, the minimum
 *    recovery point is at or beyond the checkpoint's record afterwards (CreateRestartPoint in xlog.c).
 *
 * That the copy reaches so far is not believed but read from its end (`fallsShort`). A standby that is promoted on the
 * way ends its backup with an error; whatever fails, the next copy is the primary's.
 */

import {
  type Candidate,
  chooseSource,
  type Needed,
  type SourceFacts,
} from "../core/copy-source.ts";
import { chainDiffers, type Stamp } from "../core/history.ts";
import { type Lsn, type NodeId, slotName } from "../core/ids.ts";
import type { Queryable } from "../db/call.ts";
import { flushedLsn } from "../db/data-primary.ts";
import { createSlot, listSlots } from "../db/data-slots.ts";
import { checkpointThere, sourceState, standbyState } from "../db/data-source.ts";
import { type Agent, type Order, recheck } from "./context.ts";
import { atMember, atPrimary } from "./slots.ts";

/** A checkpoint of a busy primary writes all it holds. */
const CHECKPOINT_LIMIT_MS = 120_000;
/** A newcomer's login is made by the primary, a moment after it has become a member. */
const PREPARE_LIMIT_MS = 15_000;
/** Between a checkpoint there and its replay here lies the standby's lag. */
const REPLAY_LIMIT_MS = 15_000;
const POLL_MS = 200;

export interface Source {
  readonly id: NodeId;
  readonly needed: Needed;
}

/** The standby to copy, or why none of those that are named; undefined when none is. */
export async function findStandby(
  agent: Agent,
  order: Order,
): Promise<Source | string | undefined> {
  const ids = named(agent);
  if (ids.length === 0) return undefined;
  if (agent.state.standbyTried === order.epoch) return "a standby's copy did not lead here";
  const primary = await untilPrepared(agent, order);
  if (primary === undefined) return "the primary did not prepare for a standby's copy";
  const { timeline } = order.view;
  if (timeline === null) return "the epoch has no timeline yet";
  const until = agent.clock.now() + REPLAY_LIMIT_MS;
  for (;;) {
    const choice = chooseSource(
      await Promise.all(ids.map((id) => ask(agent, order, id, { ...primary, timeline }))),
    );
    recheck(agent, order);
    if (choice.use === "copy") return { id: choice.id, needed: { end: primary.end, timeline } };
    if (choice.use === "never" || agent.clock.now() > until) return choice.why;
    await agent.clock.sleep(POLL_MS, order.signal);
  }
}

function named({ view }: Agent): NodeId[] {
  return view.members
    .filter(({ node_id, clone_from, data_port }) => {
      const other = node_id !== view.node_id && node_id !== view.primary_id;
      return clone_from && other && data_port !== null;
    })
    .map(({ node_id }) => node_id);
}

interface Prepared {
  readonly stamps: readonly Stamp[];
  /** Flushed there when nothing could be confirmed here any more. */
  readonly end: Lsn;
  /** Behind the checkpoint that was made since. */
  readonly checkpointed: Lsn;
  readonly slot: SourceFacts["slot"];
}

async function untilPrepared(agent: Agent, order: Order): Promise<Prepared | undefined> {
  const { clock } = agent;
  const until = clock.now() + PREPARE_LIMIT_MS;
  // The primary may go dark meanwhile: then this node is needed for another's appointment, and not in two minutes.
  const patience = { limitMs: CHECKPOINT_LIMIT_MS, signal: order.signal };
  for (;;) {
    const primary = await atPrimary(agent, (db) => prepare(agent, order, db), patience);
    recheck(agent, order);
    if (primary !== undefined || clock.now() > until) return primary;
    await clock.sleep(POLL_MS, order.signal);
  }
}

/** On the primary of this epoch, as it must be before a standby of it is copied. */
async function prepare({ view }: Agent, { epoch }: Order, db: Queryable): Promise<Prepared> {
  const name = slotName(view.node_id);
  const there = (await listSlots(db)).some((slot) => slot.name === name);
  if (!there) await createSlot(db, name);
  const slot = (await listSlots(db)).find((one) => one.name === name);
  const { stamps, end } = await sourceState(db, view.cluster_id);
  const newest = stamps.at(-1);
  if (newest?.epoch !== epoch || newest.node_id !== view.primary_id) {
    throw new Error(`the primary has no stamp of epoch ${epoch} yet`);
  }
  const reserved = slot?.lost === false ? slot.restart_lsn : null;
  const covers = reserved !== null && reserved <= end;
  await checkpointThere(db);
  const checkpointed = await flushedLsn(db);
  return { stamps, end, checkpointed, slot: covers ? "covers" : "missing" };
}

/** What one of them says of itself, now. */
async function ask(
  agent: Agent,
  { signal }: Order,
  id: NodeId,
  { stamps, checkpointed, slot, timeline }: Prepared & { readonly timeline: number },
): Promise<Candidate> {
  const { cluster_id: clusterId } = agent.view;
  const said = await atMember(agent, id, (db) => standbyState(db, clusterId), { signal });
  const replayed = said?.replayed ?? 0n;
  const answer = said === undefined ? "none" : said.in_recovery ? "standby" : "primary";
  const same = said !== undefined && chainDiffers(said.stamps, stamps) === undefined;
  return {
    id,
    replayed,
    facts: {
      slot,
      answer,
      stream: said?.timeline === timeline ? "on_epoch" : "elsewhere",
      stamps: same ? "same" : "differ",
      replay: replayed >= checkpointed ? "past" : "short",
    },
  };
}
