/** Queries to the own data server around a promotion and while it is primary. */
import { z } from "zod";
import { scramVerifier, verifies } from "../config/secrets.ts";
import { type Epoch, formatLsn, type Lsn, nodeRole } from "../core/ids.ts";
import { callMany, callOne, type Queryable, run } from "./call.ts";
import { lsn } from "./rows.ts";

/**
 * End every client session but ours; how many there were. A standby's session survives promotion (H11). A change stream
 * is one too: a planned stop would wait until its consumer has acknowledged everything, which it need not ever do.
 */
export async function endSessions(db: Queryable, own: readonly number[]): Promise<number> {
  const { ended } = await callOne(db, z.object({ ended: z.int() }), {
    name: "data.end_sessions",
    text: `
      select count(pg_terminate_backend(pid))::int as ended from pg_stat_activity
       where backend_type in ('client backend', 'walsender') and datid is not null
         and pid <> all($1::int[])`,
    values: [own],
  });
  return ended;
}

/** Pids of all processes the server lists, so that an unlisted one (still logging in) can be told. */
export async function listedPids(db: Queryable): Promise<number[]> {
  const rows = await callMany(db, z.object({ pid: z.int() }), {
    name: "data.pids",
    text: "select pid from pg_stat_activity",
  });
  return rows.map(({ pid }) => pid);
}

/** Order the promotion and return at once: the waiting form costs 100 ms whatever it did. */
export function orderPromotion(db: Queryable): Promise<void> {
  return run(db, { name: "data.promote", text: "select pg_promote(false)" });
}

const Position = z.object({
  in_recovery: z.boolean(),
  timeline: z.int().nullable(),
});

/** Whether recovery has ended, and the timeline it ended on. */
export function position(db: Queryable): Promise<z.infer<typeof Position>> {
  return callOne(db, Position, {
    name: "data.position",
    text: `
      select pg_is_in_recovery() as in_recovery,
             case when not pg_is_in_recovery()
                  then ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int
             end as timeline`,
  });
}

const WalEnd = z.object({ at: lsn });

/**
 * Write the epoch stamp and return an LSN at or past its commit, flushed. It waits for no standby: the setting is
 * local to this one statement's transaction and stands until its COMMIT.
 */
export async function writeStamp(
  db: Queryable,
  stamp: {
    readonly clusterId: string;
    readonly epoch: Epoch;
    readonly nodeId: number;
    readonly timeline: number;
    readonly switchLsn: Lsn;
  },
): Promise<Lsn> {
  await run(db, {
    name: "data.stamp",
    text: `
      insert into pgreplica.stamp (cluster_id, epoch, node_id, timeline, switch_lsn)
      select $1, $2, $3, $4, $5::pg_lsn
       where set_config('synchronous_commit', 'local', true) is not null
          on conflict do nothing`,
    values: [
      stamp.clusterId,
      stamp.epoch,
      stamp.nodeId,
      stamp.timeline,
      formatLsn(stamp.switchLsn),
    ],
  });
  return flushedLsn(db);
}

export async function flushedLsn(db: Queryable): Promise<Lsn> {
  const row = await callOne(db, WalEnd, {
    name: "data.flushed",
    text: "select pg_current_wal_flush_lsn()::text as at",
  });
  return row.at;
}

/** One small WAL record, flushed here and waiting for nobody; the LSN it reaches (H17). */
export async function writeMark(db: Queryable): Promise<Lsn> {
  await run(db, {
    text: `
      select pg_logical_emit_message(true, 'pgreplica', 'rule')
       where set_config('synchronous_commit', 'local', true) is not null`,
  });
  return flushedLsn(db);
}

const Checkpointer = z.object({ pid: z.int(), wait_event: z.string().nullable() });

/** The process that publishes whether commits wait for standbys at all (H17). */
export async function checkpointer(
  db: Queryable,
): Promise<z.infer<typeof Checkpointer> | undefined> {
  const rows = await callMany(db, Checkpointer, {
    text: "select pid, wait_event from pg_stat_activity where backend_type = 'checkpointer'",
  });
  return rows[0];
}

/** End walsenders by pid: they come back with the configuration in force. */
export function endBackends(db: Queryable, pids: readonly number[]): Promise<void> {
  return run(db, {
    text: "select pg_terminate_backend(pid) from unnest($1::int[]) pid",
    values: [pids],
  });
}

const Busy = z.object({ running: z.int(), waiting: z.int() });

/** Transactions that do something now, and commits that wait for a standby (H12). */
export function busySessions(db: Queryable, own: readonly number[]): Promise<z.infer<typeof Busy>> {
  return callOne(db, Busy, {
    text: `
      select (count(*) filter (where state in ('active', 'fastpath function call')))::int as running,
             (count(*) filter (where wait_event = 'SyncRep'))::int as waiting
        from pg_stat_activity
       where backend_type in ('client backend', 'walsender') and datid is not null
         and pid <> all($1::int[])`,
    values: [own],
  });
}

/** Write everything out; as long as it takes. Waits for no standby. */
export function checkpoint(db: Queryable): Promise<void> {
  return run(db, { text: "checkpoint" });
}

/** A login for a member: its role has the derived password. */
export interface NodeLogin {
  readonly nodeId: number;
  readonly password: string;
}

/**
 * Roles by which members stream and look; those of nodes that are none any more log in no longer. Commits wait for
 * nobody, for the gate is still closed.
 */
export async function ensureRoles(
  db: Queryable,
  logins: readonly NodeLogin[],
  superuserVerifier: string | undefined,
): Promise<void> {
  let left: readonly string[];
  await run(db, { text: "begin" });
  try {
    await run(db, { text: "set local synchronous_commit = local" });
    if (!(await roleExists(db, "pgreplica_peer")))
      await run(db, { text: "create role pgreplica_peer nologin" });
    await run(db, { text: "grant pg_monitor, pg_checkpoint to pgreplica_peer" });
    await grantRewind(db);
    for (const login of logins) await ensureLogin(db, login);
    left = await refuseOthers(db, logins);
    if (superuserVerifier !== undefined) {
      await run(db, { text: `alter role postgres password ${literal(superuserVerifier)}` });
    }
    await run(db, { text: "commit" });
  } catch (error) {
    // The first error is the one to tell; a lost connection has rolled back by itself.
    await run(db, { text: "rollback" }).catch(() => undefined);
    throw error;
  }
  if (left.length > 0) await endSessionsOf(db, left);
}

const RoleName = z.object({ role: z.string() });

/** Nobody logs in any more in the name of a node that has left; whose roles that were. The roles stay. */
async function refuseOthers(db: Queryable, logins: readonly NodeLogin[]): Promise<string[]> {
  const others = await callMany(db, RoleName, {
    text: `select rolname as role from pg_catalog.pg_roles
            where rolname ~ '^pgreplica_node_[0-9]+$' and rolcanlogin and rolname <> all ($1)`,
    values: [logins.map(({ nodeId }) => nodeRole(nodeId))],
  });
  for (const { role } of others) await run(db, { text: `alter role ${role} nologin` });
  return others.map(({ role }) => role);
}

function endSessionsOf(db: Queryable, roles: readonly string[]): Promise<void> {
  return run(db, {
    text: `select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
            where usename = any ($1)`,
    values: [roles],
  });
}

/**
 * What pg_rewind reads with. A base backup, which members may take anyway, shows as much: without
 * pg_read_server_files these functions read the data directory alone.
 */
async function grantRewind(db: Queryable): Promise<void> {
  const { granted } = await callOne(db, z.object({ granted: z.boolean() }), {
    text: `
      select has_function_privilege('pgreplica_peer',
               'pg_read_binary_file(text, bigint, bigint, boolean)', 'execute') as granted`,
  });
  if (granted) return;
  await run(db, {
    text: `
      grant execute on function
        pg_catalog.pg_ls_dir(text, boolean, boolean), pg_catalog.pg_stat_file(text, boolean),
        pg_catalog.pg_read_binary_file(text),
        pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) to pgreplica_peer`,
  });
}

/** Members compare their stamps with the primary's before they count (H36). Waits for no standby. */
export async function grantStamps(db: Queryable): Promise<void> {
  const { granted } = await callOne(db, z.object({ granted: z.boolean() }), {
    text: "select has_table_privilege('pgreplica_peer', 'pgreplica.stamp', 'select') as granted",
  });
  if (granted) return;
  await run(db, { text: "grant usage on schema pgreplica to pgreplica_peer" });
  await run(db, { text: "grant select on pgreplica.stamp to pgreplica_peer" });
}

/**
 * A role that is there keeps its password: verifiers are salted, and each new one would be a write. One whose node had
 * left may log in again.
 */
/** One that may log in by this very password is left alone; another secret of the cluster makes another password. */
async function ensureLogin(db: Queryable, { nodeId, password }: NodeLogin): Promise<void> {
  const name = nodeRole(nodeId);
  if (!(await roleExists(db, name))) {
    await run(db, { text: `create role ${name} nologin replication in role pgreplica_peer` });
  }
  const { verifier } = await callOne(db, z.object({ verifier: z.string().nullable() }), {
    text: `select case when rolcanlogin then rolpassword end as verifier
             from pg_catalog.pg_authid where rolname = $1`,
    values: [name],
  });
  if (verifies(verifier, password)) return;
  await run(db, { text: `alter role ${name} login password ${literal(scramVerifier(password))}` });
}

async function roleExists(db: Queryable, name: string): Promise<boolean> {
  const { there } = await callOne(db, z.object({ there: z.boolean() }), {
    text: "select exists (select from pg_roles where rolname = $1) as there",
    values: [name],
  });
  return there;
}

/** DDL takes no parameters; a verifier holds no quote, and whatever does is refused. */
function literal(text: string): string {
  if (!/^[\x20-\x7e]*$/.test(text) || /['\\]/.test(text)) throw new Error("not a SCRAM verifier");
  return `'${text}'`;
}

/** Which members lack a role. */
export async function missingRoles(db: Queryable, nodeIds: readonly number[]): Promise<number[]> {
  const rows = await callMany(db, z.object({ node_id: z.int() }), {
    text: `
      select i.node_id from unnest($1::int[]) as i (node_id)
       where not exists (select from pg_roles where rolname = 'pgreplica_node_' || i.node_id)`,
    values: [nodeIds],
  });
  return rows.map(({ node_id }) => node_id);
}
