/** Physical replication slots: one per member on every member, so that a new primary has them all (H43). */
import { z } from "zod";
import { formatLsn, type Lsn } from "../core/ids.ts";
import { callMany, type Queryable, run } from "./call.ts";
import { lsn } from "./rows.ts";

const Slot = z.object({
  name: z.string(),
  active: z.boolean(),
  restart_lsn: lsn.nullable(),
  lost: z.boolean(),
});
export type Slot = z.infer<typeof Slot>;

/** Our slots on this server; those of other programs are not ours to see. */
export function listSlots(db: Queryable): Promise<Slot[]> {
  return callMany(db, Slot, {
    name: "data.slots",
    text: `
      select slot_name::text as name, active, restart_lsn::text as restart_lsn,
             coalesce(wal_status = 'lost', false) as lost
        from pg_replication_slots
       where slot_type = 'physical' and slot_name like 'pgreplica\\_%' and not temporary`,
  });
}

const DUPLICATE_OBJECT = "42710";

/** Reserved at once: one that reserves nothing before its first use keeps nothing. There already is fine. */
export async function createSlot(db: Queryable, name: string): Promise<void> {
  const text = "select pg_create_physical_replication_slot($1, true)";
  try {
    await run(db, { text, values: [name] });
  } catch (error) {
    // An act and a chore may see at the same time that it is missing.
    if ((error as { code?: unknown }).code !== DUPLICATE_OBJECT) throw error;
  }
}

export function dropSlot(db: Queryable, name: string): Promise<void> {
  return run(db, { text: "select pg_drop_replication_slot($1)", values: [name] });
}

export function advanceSlot(db: Queryable, name: string, to: Lsn): Promise<void> {
  return run(db, {
    text: "select pg_replication_slot_advance($1, $2::pg_lsn)",
    values: [name, formatLsn(to)],
  });
}

const OldestSegment = z.object({ name: z.string().nullable() });

/** Names of WAL segment files on a server; a member of pg_monitor may ask. Empty when there are none. */
export async function oldestSegment(db: Queryable): Promise<string | undefined> {
  const rows = await callMany(db, OldestSegment, {
    text: `
      select min(substr(name, 9)) as name from pg_ls_waldir()
       where name ~ '^[0-9A-F]{24}$'`,
  });
  return rows[0]?.name ?? undefined;
}
