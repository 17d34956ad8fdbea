/** Data servers seen from outside: does one answer, and what does a running one say of itself. */
import type { Socket } from "node:net";
import pg from "pg";
import { z } from "zod";
import type { TlsFiles } from "../config/tls.ts";
import type { Stamp } from "../core/history.ts";
import { callMany, callOne, type Queryable } from "./call.ts";
import { int8, lsn } from "./rows.ts";
import { isTlsRefusal, sslFor } from "./tls.ts";

/**
 * Is a data server there? A refused TCP connection is `refused`; a server that speaks, be it an error
 * such as 57P03 or 28000, or TLS, be it not ours, `answers`; anything else within `limitMs` is `silent`. Never throws.
 */
export async function probeDataServer(o: {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly tls?: TlsFiles | undefined;
  readonly limitMs: number;
}): Promise<"refused" | "silent" | "answers"> {
  const ssl = o.tls === undefined ? false : await sslFor(o.host, o.tls);
  const client = new pg.Client({
    ...(ssl && { ssl }),
    host: o.host,
    port: o.port,
    user: o.user,
    password: o.password,
    database: "postgres",
    application_name: "pgreplica_probe",
    connectionTimeoutMillis: o.limitMs,
    query_timeout: o.limitMs,
  });
  client.on("error", () => undefined);
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<"silent">((resolve) => {
    timer = setTimeout(() => resolve("silent"), o.limitMs);
  });
  const asked = client
    .connect()
    .then(() => client.query("select 1"))
    .then(() => "answers" as const, verdictOf);
  try {
    return await Promise.race([asked, limit]);
  } finally {
    clearTimeout(timer);
    hangUp(client);
  }
}

function verdictOf(error: unknown): "refused" | "silent" | "answers" {
  if (error instanceof pg.DatabaseError || isTlsRefusal(error)) return "answers";
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ECONNREFUSED" ? "refused" : "silent";
}

/** Close without waiting: a frozen server would never answer a farewell. */
function hangUp(client: pg.Client): void {
  const stream = (client as unknown as { connection?: { stream?: Socket } }).connection?.stream;
  void client.end().catch(() => undefined);
  stream?.destroy();
}

const Attached = z.object({
  application_name: z.string(),
  state: z.string().nullable(),
  flush_lsn: lsn.nullable(),
  pid: z.int(),
  /** The role it logged in as, and the slot it streams from. */
  usename: z.string().nullable(),
  slot: z.string().nullable(),
});
export type Attached = z.infer<typeof Attached>;

const Look = z.object({
  in_recovery: z.boolean(),
  wal_lsn: lsn.nullable(),
  receive_lsn: lsn.nullable(),
  replay_lsn: lsn.nullable(),
  timeline: z.int().nullable(),
  receiver: z.string().nullable(),
  receiver_pid: z.int().nullable(),
  receiver_host: z.string().nullable(),
  receiver_port: z.int().nullable(),
  latest_end_lsn: lsn.nullable(),
  lag_ms: int8.nullable(),
  standby_names: z.string(),
  serial: z.string().nullable(),
  listen: z.string(),
  attached: z.array(Attached),
});
export type Look = z.infer<typeof Look>;

/** One look at the own data server, cheap enough for each probe. */
export function lookAt(db: Queryable): Promise<Look> {
  return callOne(db, Look, {
    name: "data.look",
    text: `
      select pg_is_in_recovery() as in_recovery,
             case when not pg_is_in_recovery() then pg_current_wal_flush_lsn()::text end as wal_lsn,
             pg_last_wal_receive_lsn()::text as receive_lsn,
             pg_last_wal_replay_lsn()::text as replay_lsn,
             case when pg_is_in_recovery() then r.received_tli
                  else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
             end as timeline,
             r.status as receiver, r.pid as receiver_pid,
             r.sender_host as receiver_host, r.sender_port as receiver_port,
             r.latest_end_lsn::text as latest_end_lsn,
             case when not pg_is_in_recovery() then null
                  when pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() then 0
                  else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000
             end::int8 as lag_ms,
             current_setting('synchronous_standby_names') as standby_names,
             current_setting('pgreplica.settings_serial', true) as serial,
             current_setting('listen_addresses') as listen,
             coalesce((
               select jsonb_agg(jsonb_build_object('application_name', s.application_name,
                 'state', s.state, 'flush_lsn', s.flush_lsn, 'pid', s.pid, 'usename', s.usename,
                 'slot', l.slot_name))
                 from pg_stat_replication as s
                 left join pg_replication_slots as l on l.active_pid = s.pid), '[]') as attached
        from (values (1)) one left join pg_stat_wal_receiver r on true`,
  });
}

/** Who streams from this server; names compare exactly (H07). */
export function attachedTo(db: Queryable): Promise<Attached[]> {
  return callMany(db, Attached, {
    name: "data.attached",
    text: `
      select s.application_name, s.state, s.flush_lsn::text as flush_lsn, s.pid,
             s.usename::text as usename, l.slot_name::text as slot
        from pg_stat_replication as s
        left join pg_replication_slots as l on l.active_pid = s.pid`,
  });
}

const StampRow = z.object({
  epoch: int8,
  node_id: z.int(),
  timeline: z.int(),
  switch_lsn: lsn,
  stamp_id: z.string(),
});

/** The epoch stamps a server holds, oldest first; none before the first epoch (H36). */
export async function stampChain(db: Queryable, clusterId: string): Promise<Stamp[]> {
  const there = await callOne(db, z.object({ there: z.boolean() }), {
    text: "select to_regclass('pgreplica.stamp') is not null as there",
  });
  if (!there.there) return [];
  return callMany(db, StampRow, {
    text: `
      select epoch::text as epoch, node_id, timeline, switch_lsn::text as switch_lsn,
             stamp_id::text as stamp_id
        from pgreplica.stamp as s where cluster_id = $1
       order by s.epoch`,
    values: [clusterId],
  });
}
