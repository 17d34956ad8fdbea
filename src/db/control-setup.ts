/** What a control store is told by its node alone: who it is, who its first members are, who may log in. */
import type { ClientBase } from "pg";
import { z } from "zod";
import { type NodeId, nodeRole } from "../core/ids.ts";
import { callMany, callOne, type Queryable, run } from "./call.ts";
import { int8 } from "./rows.ts";

const Identity = z.object({
  node_id: z.int(),
  name: z.string(),
  cluster_id: z.string(),
  cluster_name: z.string(),
  incarnation: z.string(),
  /** Made anew after an earlier life. */
  reborn: z.boolean(),
});
export type StoredIdentity = z.infer<typeof Identity>;

/** Undefined in a store whose making did not come to its end. */
export async function storedIdentity(db: ClientBase): Promise<StoredIdentity | undefined> {
  const [identity] = await callMany(db, Identity, {
    text: "select node_id, name, cluster_id, cluster_name, incarnation, reborn from node.identity",
  });
  return identity;
}

/** An initial member as every member's file names it. */
export interface InitialMember {
  readonly id: NodeId;
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly dataHost?: string | undefined;
  readonly dataPort?: number | undefined;
}

/** First and last words from outside the log: from here on `cluster` changes by committed entries alone. */
export async function setUpStore(
  db: ClientBase,
  identity: StoredIdentity,
  cluster: { readonly members: readonly InitialMember[]; readonly mode: string },
): Promise<void> {
  const members = cluster.members.map((member) => ({
    node_id: member.id,
    name: member.name,
    control_host: member.host,
    control_port: member.port,
    data_host: member.dataPort === undefined ? null : (member.dataHost ?? member.host),
    data_port: member.dataPort ?? null,
  }));
  await run(db, {
    text: `
      with identity as (
        insert into node.identity (node_id, name, cluster_id, cluster_name, incarnation, reborn, founders)
        values ($1, $2, $3, $4, $5, $6, $9)
      ), mode as (
        update cluster.state set mode = $7
      )
      insert into cluster.member
             (node_id, name, control_host, control_port, data_host, data_port, promotable)
      select m.node_id, m.name, m.control_host, m.control_port, m.data_host, m.data_port,
             m.data_port is not null
        from jsonb_to_recordset($8::jsonb)
          as m (node_id integer, name text, control_host text, control_port integer,
                data_host text, data_port integer)`,
    values: [
      identity.node_id,
      identity.name,
      identity.cluster_id,
      identity.cluster_name,
      identity.incarnation,
      identity.reborn,
      cluster.mode,
      JSON.stringify(members),
      JSON.stringify(cluster.members),
    ],
  });
}

const Promises = z.object({ term: int8, pledge: int8, commit: int8 });
/** What a store must never go back behind (H56). */
export type Promises = z.infer<typeof Promises>;

export function promisesOf(db: Queryable): Promise<Promises> {
  return callOne(db, Promises, {
    text: `
      select s.current_term as term, p.epoch as pledge, s.commit_index as commit
        from raft.hard_state as s, node.pledge as p`,
  });
}

const Statement = z.object({ statement: z.string() });

const Login = z.object({ role: z.string(), verifier: z.string().nullable() });

/** Connections of one node here: its links, and one for each caller of SQL there that this node must answer. */
const NODE_CONNECTIONS = 30;

/** Which of these roles may log in, and the verifier of each; null: by no password, or not within its limits yet. */
export async function loginsOf(
  db: Queryable,
  roles: readonly string[],
): Promise<ReadonlyMap<string, string | null>> {
  const logins = await callMany(db, Login, {
    text: `select rolname as role, case when rolconnlimit = $2 or rolsuper then rolpassword end as verifier
             from pg_catalog.pg_authid
            where rolcanlogin and rolname = any ($1)`,
    values: [roles, NODE_CONNECTIONS],
  });
  return new Map(logins.map(({ role, verifier }) => [role, verifier]));
}

/** In force where a session asks for nothing else; the last one none can change. */
const NODE_LIMITS = {
  statement_timeout: "60s",
  lock_timeout: "10s",
  idle_in_transaction_session_timeout: "10s",
  work_mem: "4MB",
  temp_file_limit: "64MB",
};

/**
 * Make or update the role by which member `id` logs in here: it may do what `pgreplica_peer` may, no more, and takes
 * neither all connections nor the disk.
 */
export async function putNodeRole(db: Queryable, id: NodeId, verifier: string): Promise<void> {
  const role = nodeRole(id);
  const { statement } = await callOne(db, Statement, {
    text: `
      select case when exists (select from pg_catalog.pg_roles where rolname = $1)
               then pg_catalog.format('alter role %I login connection limit %s password %L',
                                      $1::text, $3::integer, $2::text)
               else pg_catalog.format('create role %I login connection limit %s in role pgreplica_peer password %L',
                                      $1::text, $3::integer, $2::text)
             end as statement`,
    values: [role, verifier, NODE_CONNECTIONS],
  });
  const limits = Object.entries(NODE_LIMITS).map(
    ([name, value]) => `alter role ${role} set ${name} = '${value}'`,
  );
  // One message, one commit.
  await run(db, { text: [statement, ...limits].join("; ") });
}

/** The member has left: nobody logs in in its name. */
export async function dropNodeRole(db: Queryable, id: NodeId): Promise<void> {
  await run(db, {
    text: `select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity where usename = $1`,
    values: [nodeRole(id)],
  });
  await run(db, { text: `drop role if exists ${nodeRole(id)}` });
}

/** A third of all connections that are neither for members nor for the worker (worker/control-settings.ts). */
const CALLERS = 73;

/**
 * Before PostgreSQL 16 no connections can be kept for members. There the two roles that serve callers have a third each
 * of what is left, and all others that may log in share the rest: superusers and members apart. Who has a lower limit
 * keeps it. Whether that is so here: logins may be added at any time.
 */
export async function limitCallers(db: Queryable): Promise<boolean> {
  const { major } = await callOne(db, z.object({ major: z.int() }), {
    text: `select pg_catalog.current_setting('server_version_num')::integer / 10000 as major`,
  });
  if (major >= 16) return false;
  const statements = await callMany(db, Statement, {
    text: `
      select pg_catalog.format('alter role %I connection limit %s', r.rolname, r.most) as statement
        from (select r.rolname, r.rolconnlimit,
                     greatest(1, $1::integer / count(*) over (
                       partition by case when r.rolname in ('pgreplica_service', 'pgreplica_caller')
                                         then r.rolname end)) as most
                from pg_catalog.pg_roles as r
               where r.rolcanlogin and not r.rolsuper
                 and not pg_catalog.pg_has_role(r.oid, 'pgreplica_peer', 'member')) as r
       where r.rolconnlimit not between 0 and r.most`,
    values: [CALLERS],
  });
  // One message, one commit.
  if (statements.length > 0)
    await run(db, { text: statements.map(({ statement }) => statement).join("; ") });
  return true;
}

/** By number, those that may log in as a node. */
export async function nodeLogins(db: Queryable): Promise<readonly NodeId[]> {
  const rows = await callMany(db, z.object({ id: z.int() }), {
    text: `select substring(rolname from '^pgreplica_node_(\\d+)$')::integer as id
             from pg_catalog.pg_roles where rolname ~ '^pgreplica_node_\\d+$' order by 1`,
  });
  return rows.map(({ id }) => id);
}

/** Where this node says that it is reached; its leader hears of it when it is another place than the log knows. */
export async function putAddress(
  db: Queryable,
  {
    control,
    data,
  }: {
    readonly control: { readonly host: string; readonly port: number };
    readonly data?: { readonly host: string; readonly port: number };
  },
): Promise<void> {
  await run(db, {
    text: `insert into node.address (control_host, control_port, data_host, data_port) values ($1, $2, $3, $4)
           on conflict (singleton) do update
             set control_host = excluded.control_host, control_port = excluded.control_port,
                 data_host = excluded.data_host, data_port = excluded.data_port
           where (address.control_host, address.control_port, address.data_host, address.data_port)
                 is distinct from
                 (excluded.control_host, excluded.control_port, excluded.data_host, excluded.data_port)`,
    values: [control.host, control.port, data?.host ?? null, data?.port ?? null],
  });
}

/** The superuser's password for logins over TCP; without one nobody logs in so. */
export async function putSuperuserPassword(
  db: ClientBase,
  verifier: string | undefined,
): Promise<void> {
  const { statement } = await callOne(db, Statement, {
    text: `select pg_catalog.format('alter role postgres password %L', $1::text) as statement`,
    values: [verifier ?? null],
  });
  await run(db, { text: statement });
}

/** How this node's SQL functions log in to its peers: the password, and libpq's words for TLS. */
export function putPeerLogin(
  db: Queryable,
  password: string,
  tls: Readonly<Record<string, string>>,
): Promise<void> {
  return run(db, {
    text: `insert into node.secret (name, value) values ('peer_password', $1), ('peer_tls', $2)
           on conflict (name) do update set value = excluded.value
            where secret.value <> excluded.value`,
    values: [password, JSON.stringify(tls)],
  });
}
