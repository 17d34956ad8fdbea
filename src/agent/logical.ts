/**
 * Logical slots that survive a failover (H45). From PostgreSQL 17 on the server copies those that were made with
 * `failover`; before, each standby is given the primary's slots (`logical-copy.ts`), moves them along, and notes when
 * one has become as good as the primary's. At a promotion what is not is dropped: its consumers are told at once.
 */

import { isDeepStrictEqual } from "node:util";
import { formatLsn, type Lsn, slotName } from "../core/ids.ts";
import { copyable, noteOf, type SlotNote, unproved } from "../core/logical-slots.ts";
import type { Queryable } from "../db/call.ts";
import { openDataConnection } from "../db/data-connection.ts";
import {
  dropLogical,
  keptXmin,
  type LogicalSlotRow,
  listLogical,
  logSnapshot,
} from "../db/data-logical.ts";
import { advanceSlot } from "../db/data-slots.ts";
import { type Agent, isAlive } from "./context.ts";
import { oldestHere } from "./logical-copy.ts";
import { copiesSlotsItself } from "./logical-settings.ts";
import { readSlotNotes, type SlotNotes, writeSlotNotes } from "./notes.ts";
import { atPrimary } from "./slots.ts";

/** A slot that is missing for fewer rounds may be gone again: a standby is not stopped for it. */
const ROUNDS_BEFORE_COPY = 2;
/** What could not be put right by a copy is not tried again for so many rounds. */
const ROUNDS_BETWEEN_COPIES = 24;
const ADVANCE_LIMIT_MS = 60_000;

/** What one round tells the next. */
export interface LogicalMemory {
  /** Slot to how many rounds it has been missing; negative: a copy was asked for. */
  readonly missing: Map<string, number>;
  /** Where the last snapshot was logged on request. */
  loggedAt: Lsn;
  /** What was said last of this node's slots. */
  told: string;
}

export function freshLogicalMemory(): LogicalMemory {
  return { missing: new Map(), loggedAt: 0n, told: "" };
}

/** Now and then. `db` is not the acts' connection. */
export async function tendLogical(
  agent: Agent,
  db: Queryable,
  memory: LogicalMemory,
): Promise<void> {
  const { data, state, view } = agent;
  if (!data.logical) return;
  if (state.leads?.gateOpen) return asPrimary(agent, db, memory);
  const upstream = state.wanted?.upstream;
  const follows = upstream?.as === "member" && upstream.nodeId === view.primary_id;
  if (!follows || state.look?.receiver !== "streaming") return;
  const usable = copiesSlotsItself(agent)
    ? await makeRoom(db)
    : await keepUp(agent, db, memory, runOf(agent));
  await tell(agent, memory, usable);
}

/** Written now and then by the server itself, four times a minute: slots on standbys wait for it. */
async function asPrimary(agent: Agent, db: Queryable, memory: LogicalMemory): Promise<void> {
  const slots = await listLogical(db);
  const end = agent.state.look?.wal_lsn ?? 0n;
  if (agent.binaries.major >= 16 && slots.length > 0 && end > memory.loggedAt) {
    memory.loggedAt = await logSnapshot(db);
  }
  if (!copiesSlotsItself(agent)) await noteOwn(agent, slots);
}

/** The primary's slots are the cluster's, made by itself. */
async function noteOwn(agent: Agent, slots: readonly LogicalSlotRow[]): Promise<void> {
  const known = await readSlotNotes(agent);
  const same = slots.length === Object.keys(known).length;
  if (same && slots.every(({ name }) => name in known)) return;
  await writeSlotNotes(agent, Object.fromEntries(slots.map(({ name }) => [name, {}])));
}

/** The receiver that is seen now, of this run of the server: pids come again. */
function runOf({ state }: Agent): string | undefined {
  if (state.receiver === undefined || state.server === undefined) return undefined;
  return `${state.server.pid}.${state.server.startTicks}/${state.receiver}`;
}

/** PostgreSQL does not copy over a slot that it did not copy before: this node's own, from when it was primary. */
async function makeRoom(db: Queryable): Promise<LogicalSlotRow[]> {
  const slots = await listLogical(db);
  for (const { name, failover, synced, active } of slots) {
    if (failover && !synced && !active) await dropLogical(db, name);
  }
  return slots.filter(({ synced, lost }) => synced && !lost);
}

/** Answers with the slots that are as good as the primary's. */
async function keepUp(
  agent: Agent,
  db: Queryable,
  memory: LogicalMemory,
  run: string | undefined,
): Promise<LogicalSlotRow[]> {
  const { state, view, config } = agent;
  const replayed = state.look?.replay_lsn ?? null;
  if (replayed === null || run === undefined) return [];
  const asked = await atPrimary(agent, async (primary) => ({
    // In this order: what is kept is kept from before the slots were looked at.
    kept: await keptXmin(primary, slotName(config.node.id)),
    theirs: await listLogical(primary),
  }));
  if (asked === undefined) return [];
  const known = await readSlotNotes(agent);
  const before = await dropForgotten(agent, db, asked.theirs, known);
  const failed = await advance(agent, before, asked.theirs, replayed);
  const own = await listLogical(db);
  const notes: Record<string, SlotNote> = {};
  const usable: LogicalSlotRow[] = [];
  for (const slot of own) {
    const theirs = asked.theirs.find(({ name }) => name === slot.name);
    const note = known[slot.name] ?? {};
    if (theirs === undefined && !(slot.name in known)) continue;
    const decoded = !failed.has(slot.name);
    const evidence = { keptXmin: asked.kept, theirs, own: slot, replayed, decoded };
    const next = noteOf(evidence, note, run);
    notes[slot.name] = next;
    if (next.held !== undefined) usable.push(slot);
  }
  if (runOf(agent) !== run || agent.view.primary_id !== view.primary_id) return [];
  if (!isDeepStrictEqual(notes, known)) await writeSlotNotes(agent, notes);
  askForCopies(agent, memory, copyable(asked.theirs, own, await oldestHere(agent)));
  return usable;
}

/** What the primary has no more, and was the cluster's; on 16 and newer a standby may have slots of its own. */
async function dropForgotten(
  { binaries }: Agent,
  db: Queryable,
  theirs: readonly LogicalSlotRow[],
  known: SlotNotes,
): Promise<readonly LogicalSlotRow[]> {
  const own = await listLogical(db);
  const ours = own.filter(({ name }) => binaries.major < 16 || name in known);
  for (const { name, active } of ours) {
    if (!active && !theirs.some((slot) => slot.name === name)) await dropLogical(db, name);
  }
  return own.filter(({ name }) => theirs.some((slot) => slot.name === name));
}

/**
 * As far as the primary's were confirmed: less is repeated after a failover, more would be missing. Answers with those
 * that could not be.
 */
async function advance(
  agent: Agent,
  own: readonly LogicalSlotRow[],
  theirs: readonly LogicalSlotRow[],
  replayed: Lsn,
): Promise<ReadonlySet<string>> {
  const steps = own.flatMap(({ name, database, active, lost, confirmed_lsn: now }) => {
    const there = theirs.find((slot) => slot.name === name)?.confirmed_lsn ?? null;
    if (there === null || now === null || active || lost) return [];
    const to = there < replayed ? there : replayed;
    return to > now ? [{ name, database, to }] : [];
  });
  const failed = new Set<string>();
  for (const database of new Set(steps.map((step) => step.database))) {
    const { db, end } = await openDataConnection(
      { socketDir: agent.paths.socketDir, port: agent.data.port },
      { applicationName: "pgreplica_slots", database, statementLimitMs: ADVANCE_LIMIT_MS },
    );
    try {
      for (const { name, to } of steps.filter((step) => step.database === database)) {
        await advanceSlot(db, name, to).catch((error: unknown) => {
          failed.add(name);
          const why = `could not decode for slot ${name} up to ${formatLsn(to)}`;
          agent.log.warn({ event: "agent.failed", error: String(error) }, why);
        });
      }
    } finally {
      end();
    }
  }
  return failed;
}

function askForCopies(agent: Agent, { missing }: LogicalMemory, names: readonly string[]): void {
  for (const name of [...missing.keys()]) if (!names.includes(name)) missing.delete(name);
  for (const name of names) missing.set(name, (missing.get(name) ?? 0) + 1);
  const due = names.filter((name) => (missing.get(name) ?? 0) >= ROUNDS_BEFORE_COPY);
  if (names.length === 0) agent.state.slotsToCopy = [];
  if (due.length === 0) return;
  for (const name of due) missing.set(name, -ROUNDS_BETWEEN_COPIES);
  agent.state.slotsToCopy = due;
  agent.nudge();
}

/** What could be used after a failover is an event, in each epoch anew. */
async function tell(
  agent: Agent,
  memory: LogicalMemory,
  usable: readonly LogicalSlotRow[],
): Promise<void> {
  const names = usable.map(({ name }) => name).sort();
  agent.state.usableSlots = names.length;
  const now = names.length === 0 ? "" : `${agent.view.epoch} ${names.join(" ")}`;
  if (now === memory.told) return;
  memory.told = now;
  const reason =
    names.length === 0
      ? "no logical slot of this standby could be used after a failover now"
      : `usable after a failover to this node: ${names.join(", ")}`;
  const detail = { slots: names, epoch: agent.view.epoch.toString() };
  await agent.store.noteAct({ event: "slots_usable", reason, detail });
}

/**
 * Right before a promotion, with every session ended: a slot that is not proved to be as good as the old primary's is
 * dropped, so that its consumer is refused and never misses a change unawares. PostgreSQL 17 drops what it has not
 * wholly copied by itself, and from 16 on invalidates what lacks catalog rows.
 */
export async function dropUntrusted(agent: Agent): Promise<void> {
  if (!agent.data.logical || copiesSlotsItself(agent) || !isAlive(agent)) return;
  const { db } = await agent.hands.get();
  const slots = await listLogical(db);
  if (slots.length === 0) return;
  const [known, run] = [await readSlotNotes(agent), runOf(agent)];
  const untrusted = unproved(slots, known, run);
  for (const { name } of untrusted) await dropLogical(db, name);
  if (untrusted.length === 0) return;
  const names = untrusted.map(({ name }) => name);
  const reason = `not proved to continue the old primary's: ${names.join(", ")}; consumers re-seed`;
  agent.log.warn({ event: "agent.decided", epoch: agent.view.epoch, names }, reason);
  const detail = { slots: names, epoch: agent.view.epoch.toString() };
  await agent.store.noteAct({ event: "slots_dropped", reason, detail });
}
