/** Queries to the own data server while it is in recovery. */
import { z } from "zod";
import { callOne, type Queryable, run } from "./call.ts";
import { lsn } from "./rows.ts";

const Recovery = z.object({
  in_recovery: z.boolean(),
  receivers: z.int(),
  startup_pid: z.int().nullable(),
  wait_event: z.string().nullable(),
  receive_lsn: lsn.nullable(),
  replay_lsn: lsn.nullable(),
  paused: z.string().nullable(),
  conninfo: z.string(),
  apply_delay: z.string(),
});
/** One poll of the startup process and the WAL receiver. */
export type Recovery = z.infer<typeof Recovery>;

/** A receiver that is still connecting shows in no replication view, but it is a process (H21). */
export function pollRecovery(db: Queryable): Promise<Recovery> {
  return callOne(db, Recovery, {
    name: "data.recovery",
    text: `
      select pg_is_in_recovery() as in_recovery,
             (count(*) filter (where a.backend_type = 'walreceiver')
              + (select count(*) from pg_stat_wal_receiver))::int as receivers,
             (max(a.pid) filter (where a.backend_type = 'startup'))::int as startup_pid,
             max(a.wait_event) filter (where a.backend_type = 'startup') as wait_event,
             pg_last_wal_receive_lsn()::text as receive_lsn,
             pg_last_wal_replay_lsn()::text as replay_lsn,
             case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() end as paused,
             current_setting('primary_conninfo') as conninfo,
             current_setting('recovery_min_apply_delay') as apply_delay
        from pg_stat_activity a`,
  });
}

/** End what may hold replay still: a pause, queries, and transactions that keep a lock or a snapshot (H22). */
export async function pushReplay(db: Queryable, own: readonly number[]): Promise<void> {
  await run(db, { text: "select pg_wal_replay_resume() where pg_is_wal_replay_paused()" });
  await run(db, {
    text: `
      select case when state = 'active' then pg_cancel_backend(pid) else pg_terminate_backend(pid) end
        from pg_stat_activity
       where backend_type = 'client backend' and pid <> all($1::int[])
         and (state = 'active' or backend_xmin is not null
              or pid in (select h.pid
                           from pg_locks as w
                           join pg_locks as h using (locktype, database, relation)
                          where not w.granted and h.granted))`,
    values: [own],
  });
}

const Shown = z.object({
  serial: z.string().nullable(),
  standby_names: z.string(),
  conninfo: z.string(),
});

/**
 * What a backend shows of our settings: a new one proves what the postmaster holds (H17), an older one has its own
 * copy.
 */
export function showSettings(db: Queryable): Promise<z.infer<typeof Shown>> {
  return callOne(db, Shown, {
    name: "data.shown",
    text: `
      select current_setting('pgreplica.settings_serial', true) as serial,
             current_setting('synchronous_standby_names') as standby_names,
             current_setting('primary_conninfo') as conninfo`,
  });
}
