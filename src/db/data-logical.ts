/** Logical replication slots of a data server: seen, read as the state file that PostgreSQL keeps of each, dropped. */
import { z } from "zod";
import type { Lsn } from "../core/ids.ts";
import { callMany, callOne, type Queryable, run } from "./call.ts";
import { lsn } from "./rows.ts";

const Slot = z.object({
  name: z.string(),
  database: z.string(),
  active: z.boolean(),
  lost: z.boolean(),
  /** Copied to the standbys by PostgreSQL itself; false before 17. */
  failover: z.boolean(),
  /** Copied from the primary by PostgreSQL itself; false before 17. */
  synced: z.boolean(),
  catalog_xmin: z.int().nullable(),
  restart_lsn: lsn.nullable(),
  confirmed_lsn: lsn.nullable(),
});
export type LogicalSlotRow = z.infer<typeof Slot>;

/** All but those that end with their session. */
export function listLogical(db: Queryable): Promise<LogicalSlotRow[]> {
  return callMany(db, Slot, {
    text: `
      select slot_name::text as name, database::text as database, active,
             coalesce(wal_status = 'lost', false) as lost,
             coalesce((to_jsonb(s) ->> 'failover')::boolean, false) as failover,
             coalesce((to_jsonb(s) ->> 'synced')::boolean, false) as synced,
             catalog_xmin::text::bigint::double precision as catalog_xmin,
             restart_lsn::text as restart_lsn, confirmed_flush_lsn::text as confirmed_lsn
        from pg_replication_slots as s
       where slot_type = 'logical' and not temporary
       order by slot_name`,
  });
}

const Kept = z.object({ kept: z.int().nullable() });

/** The oldest transaction whose catalog rows this server keeps for a standby that streams; null: it keeps none. */
export async function keptXmin(db: Queryable, slot: string): Promise<number | null> {
  const rows = await callMany(db, Kept, {
    text: `
      select catalog_xmin::text::bigint::double precision as kept
        from pg_replication_slots where slot_name = $1 and active`,
    values: [slot],
  });
  return rows[0]?.kept ?? null;
}

const File = z.object({ bytes: z.string().nullable() });

/** A file of the server's data directory, of which PostgreSQL's own programs may read all; undefined: there is none. */
export async function serverFile(db: Queryable, path: string): Promise<Buffer | undefined> {
  const { bytes } = await callOne(db, File, {
    text: "select encode(pg_read_binary_file($1, 0, 67108864, true), 'base64') as bytes",
    values: [path],
  });
  return bytes === null ? undefined : Buffer.from(bytes, "base64");
}

/** Names of the snapshots that decoding has stored. */
export async function snapshotNames(db: Queryable): Promise<string[]> {
  const rows = await callMany(db, z.object({ name: z.string() }), {
    text: "select name from pg_ls_dir('pg_logical/snapshots', true, false) as name",
  });
  return rows.map(({ name }) => name).filter((name) => /^[0-9A-F]+-[0-9A-F]+\.snap$/.test(name));
}

const Logged = z.object({ at: lsn });

/** From such a record on decoding may begin anew, and slots let go of older rows. PostgreSQL 16 and newer. */
export async function logSnapshot(db: Queryable): Promise<Lsn> {
  const { at } = await callOne(db, Logged, {
    text: "select pg_log_standby_snapshot()::text as at",
  });
  return at;
}

/** One standby at a time leaves for a moment. Held until the session ends. */
export async function takeTurn(db: Queryable): Promise<boolean> {
  const { taken } = await callOne(db, z.object({ taken: z.boolean() }), {
    text: "select pg_try_advisory_lock(hashtext('pg_replica'), hashtext('copy_slots')) as taken",
  });
  return taken;
}

export function dropLogical(db: Queryable, name: string): Promise<void> {
  return run(db, { text: "select pg_drop_replication_slot($1)", values: [name] });
}
