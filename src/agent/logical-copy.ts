/**
 * A standby is given the primary's logical slots while it is stopped: before 17 a server takes none in otherwise, and
 * it reads those it finds at its start. Given is not trusted: see `core/logical-slots.ts`.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Lsn } from "../core/ids.ts";
import { copyable } from "../core/logical-slots.ts";
import type { Queryable } from "../db/call.ts";
import { listLogical, serverFile, snapshotNames, takeTurn } from "../db/data-logical.ts";
import { attachedTo } from "../db/data-server.ts";
import { standbyPosition } from "../db/data-source.ts";
import { readControlFile } from "../postgres/control-file.ts";
import { exists } from "../postgres/files.ts";
import {
  parseSlotFile,
  putSlotFile,
  putSnapshotFile,
  type SlotFile,
  type SnapshotFile,
  snapshotLsn,
} from "../postgres/slot-file.ts";
import { type Agent, type Order, recheck } from "./context.ts";
import { copiesSlotsItself } from "./logical-settings.ts";
import { readSlotNotes, writeSlotNotes } from "./notes.ts";
import { startGated, stopServer } from "./servers.ts";
import { currentWanted } from "./settings.ts";
import { atPrimary } from "./slots.ts";
import { confirming } from "./standbys.ts";

/** The primary may have many, and a standby that joins waits for this. */
const FETCH_LIMIT_MS = 5000;

function isGivenSlots(agent: Agent): boolean {
  return agent.data.logical && !copiesSlotsItself(agent);
}

/** Where this data directory's WAL begins. */
export async function oldestHere({ paths }: Agent): Promise<Lsn> {
  const { walSegmentBytes } = await readControlFile(paths.dataDir);
  const names = await readdir(join(paths.dataDir, "pg_wal"));
  const segments = names.filter((name) => /^[0-9A-F]{24}$/.test(name)).map((name) => name.slice(8));
  const oldest = segments.sort()[0] ?? "F".repeat(16);
  const [high, low] = [BigInt(`0x${oldest.slice(0, 8)}`), BigInt(`0x${oldest.slice(8)}`)];
  return (high << 32n) + low * BigInt(walSegmentBytes);
}

/** A slot as it can be given to another server: its state, and every snapshot between its two positions. */
interface Copy extends SlotFile {
  readonly snapshots: readonly SnapshotFile[];
}

/** The primary's slots that this node lacks and has the WAL for. None where nobody is given any. */
export async function fetchSlots(agent: Agent, { signal }: Order): Promise<Copy[]> {
  if (!isGivenSlots(agent)) return [];
  const { db } = await agent.hands.get();
  const own = await listLogical(db);
  const oldest = await oldestHere(agent);
  const copies = await atPrimary(
    agent,
    async (primary) => {
      const found: Copy[] = [];
      for (const name of copyable(await listLogical(primary), own, oldest)) {
        const copy = await fetchSlot(primary, name);
        if (copy !== undefined) found.push(copy);
      }
      return found;
    },
    { limitMs: FETCH_LIMIT_MS, signal },
  );
  const replayed = (await standbyPosition(db)).replayed ?? 0n;
  return (copies ?? []).filter(
    ({ restartLsn, confirmedLsn }) => restartLsn >= oldest && confirmedLsn <= replayed,
  );
}

/**
 * Snapshots go only once every slot has moved beyond them: one that still stands where its state said when they had
 * been read has lost none. Undefined when it has moved, or is gone: there is a next time.
 */
async function fetchSlot(primary: Queryable, name: string): Promise<Copy | undefined> {
  const bytes = await serverFile(primary, `pg_replslot/${name}/state`);
  if (bytes === undefined) return undefined;
  const slot = parseSlotFile(name, bytes);
  const { restartLsn, confirmedLsn } = slot;
  const snapshots: SnapshotFile[] = [];
  for (const file of await snapshotNames(primary)) {
    const at = snapshotLsn(file);
    if (at < restartLsn || at > confirmedLsn) continue;
    const read = await serverFile(primary, `pg_logical/snapshots/${file}`);
    if (read !== undefined) snapshots.push({ name: file, bytes: read });
  }
  const now = (await listLogical(primary)).find((one) => one.name === name);
  return now?.restart_lsn === restartLsn ? { ...slot, snapshots } : undefined;
}

/** Into a data directory that no server runs on. The note first: known, and trusted only when it is proved. */
export async function putSlots(agent: Agent, copies: readonly Copy[]): Promise<void> {
  const { paths, owner } = agent;
  const missing: Copy[] = [];
  for (const copy of copies) {
    if (!(await exists(join(paths.dataDir, "pg_replslot", copy.name)))) missing.push(copy);
  }
  if (missing.length === 0) return;
  const given = Object.fromEntries(missing.map(({ name }) => [name, {}]));
  await writeSlotNotes(agent, { ...(await readSlotNotes(agent)), ...given });
  for (const copy of missing) {
    for (const file of copy.snapshots) await putSnapshotFile(paths.dataDir, file, owner);
    await putSlotFile(paths.dataDir, copy, owner);
  }
  const names = missing.map(({ name }) => name);
  agent.log.info({ event: "agent.decided", names }, "given the primary's logical slots");
}

/**
 * A member that streams leaves for a moment and comes back with the slots: its data are those that were proved, and
 * nothing can add to them meanwhile. Only while commits are confirmed without it, where that can be.
 */
export async function copySlots(agent: Agent, order: Order): Promise<void> {
  const { state } = agent;
  const { upstream } = currentWanted(agent);
  if (upstream?.as !== "member" || upstream.epoch !== order.epoch) return;
  await atPrimary(agent, async (primary) => {
    if (!(await takeTurn(primary)) || !(await canSpareUs(agent, primary))) return;
    const slots = await fetchSlots(agent, order);
    recheck(agent, order);
    if (slots.length === 0) return;
    await stopServer(agent);
    await putSlots(agent, slots);
  });
  recheck(agent, order);
  // Tried again in a moment.
  if (state.server !== undefined) throw new Error("its turn to be given slots has not come yet");
  await startGated(agent, { upstream, listen: true, gate: "open" }, order.signal);
}

async function canSpareUs(agent: Agent, primary: Queryable) {
  const { view } = agent;
  const others = view.rule_cohort.filter((id) => id !== view.node_id && id !== view.primary_id);
  const rest = { ...view, rule_cohort: others };
  const needed = Math.min(view.rule_k, others.length);
  return confirming(await attachedTo(primary), rest, 0n).size >= needed;
}
