/** Clears the way for `sql/`: drops the functions and views it made, and keeps what users were granted on them. */
import type { ClientBase } from "pg";
import { z } from "zod";
import { callMany, run } from "./call.ts";

const Drop = z.object({ statement: z.string() });
const Dependent = z.object({ object: z.string() });

/**
 * Those of the pgraft interface stand in schema public, among what is not ours: only what our own files were named
 * after, and no extension holds.
 */
const PGRAFT = `(p.pronamespace = 'public'::pg_catalog.regnamespace
       and p.proname in (
         select pg_catalog.substring(f.path, '_pgraft/(pgraft_[a-z_]+)[.]sql$') from pgreplica.sql_file f)
       and not exists (select from pg_catalog.pg_depend d
                        where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                          and d.objid = p.oid and d.deptype = 'e'))`;

const PGRAFT_VIEW = `(c.relnamespace = 'public'::pg_catalog.regnamespace
       and c.relname in (
         select pg_catalog.substring(f.path, '_pgraft/(pgraft_[a-z_]+)[.]sql$') from pgreplica.sql_file f))`;

/** Functions and views of our schemas; trigger functions belong to tables, so to migrations. */
const MADE = `
  with made as (
    select 'pg_proc'::pg_catalog.regclass as classid, p.oid as objid,
           case p.prokind when 'p' then 'procedure' else 'function' end as kind,
           p.oid::pg_catalog.regprocedure::text as name
      from pg_catalog.pg_proc p
     where (p.pronamespace in (select oid from ours) or ${PGRAFT}) and p.prorettype <> 'trigger'::pg_catalog.regtype
    union all
    select 'pg_class'::pg_catalog.regclass, c.oid, 'view', c.oid::pg_catalog.regclass::text
      from pg_catalog.pg_class c
     where (c.relnamespace in (select oid from ours) or ${PGRAFT_VIEW}) and c.relkind = 'v'
  )`.replace(
  "with made",
  `with ours as (
    select oid from pg_catalog.pg_namespace
     where nspname in ('raft', 'peer', 'cluster', 'node', 'pg_replica', 'pgreplica')
  ), made`,
);

/** Rules and row types of our views go with them; whatever else depends on ours is not ours. */
const DEPENDENTS = `${MADE}, parts as (
    select classid, objid from made
    union all
    select 'pg_rewrite'::pg_catalog.regclass, r.oid
      from pg_catalog.pg_rewrite r join made m on m.kind = 'view' and m.objid = r.ev_class
    union all
    select 'pg_type'::pg_catalog.regclass, t.oid
      from pg_catalog.pg_type t
      left join pg_catalog.pg_type e on e.oid = t.typelem
      join made m on m.kind = 'view' and m.objid in (t.typrelid, e.typrelid)
  )
  select distinct pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) as object
    from pg_catalog.pg_depend d
    join parts p on p.classid = d.refclassid and p.objid = d.refobjid
   where d.deptype in ('n', 'a')
     and not exists (select from parts q where q.classid = d.classid and q.objid = d.objid)`;

/** What an administrator granted to roles of their own; our files grant to ours. */
const GRANTS = `${MADE}, granted as (
    select 'function' as kind, p.oid::pg_catalog.regprocedure::text as name,
           pg_catalog.format('%I.%I', n.nspname, p.proname) as short, a.*
      from made m
      join pg_catalog.pg_proc p on m.kind = 'function' and p.oid = m.objid
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace
     cross join pg_catalog.aclexplode(p.proacl) a where a.grantee <> p.proowner
    union all
    select 'table', m.name, m.name, a.*
      from made m
      join pg_catalog.pg_class c on m.kind = 'view' and c.oid = m.objid
     cross join pg_catalog.aclexplode(c.relacl) a where a.grantee <> c.relowner
  )
  select g.kind, g.name, g.short, g.privilege_type as privilege,
         case g.grantee when 0 then 'public' else pg_catalog.quote_ident(r.rolname) end as grantee,
         g.is_grantable as grantable
    from granted g left join pg_catalog.pg_roles r on r.oid = g.grantee
   where coalesce(r.rolname, 'public') not in ('pgreplica_admin', 'pgreplica_monitor', 'pgreplica_peer')`;

const Grant = z.object({
  kind: z.enum(["function", "table"]),
  /** With the types of its arguments, and without. */
  name: z.string(),
  short: z.string(),
  privilege: z.string(),
  grantee: z.string(),
  grantable: z.boolean(),
});
export type Grant = z.infer<typeof Grant>;

/** Grants on what `sql/` made, to be given again when it is made anew. */
export function usersGrants(db: ClientBase): Promise<Grant[]> {
  return callMany(db, Grant, { text: GRANTS });
}

/** Give them again; a function whose arguments changed keeps them if its name is its own. */
export async function grantAgain(db: ClientBase, grants: readonly Grant[]): Promise<void> {
  const statements = await callMany(db, Drop, {
    text: `
      select pg_catalog.format('grant %s on %s %s to %s%s', g.privilege, g.kind, o.name, g.grantee,
               case when g.grantable then ' with grant option' else '' end) as statement
        from pg_catalog.jsonb_to_recordset($1::jsonb)
          as g (kind text, name text, short text, privilege text, grantee text, grantable boolean)
       cross join lateral (
         select case g.kind when 'table' then pg_catalog.to_regclass(g.name)::text
                else coalesce(pg_catalog.to_regprocedure(g.name),
                              pg_catalog.to_regproc(g.short)::oid::pg_catalog.regprocedure)::text end) as o (name)
       where o.name is not null`,
    values: [JSON.stringify(grants)],
  });
  for (const { statement } of statements) await run(db, { text: statement });
}

/**
 * Drop all that `sql/` made, so that what it no longer holds goes away, and signatures may change. Where a user's
 * view or table needs one of ours nothing is dropped: the files then replace in place, and PostgreSQL refuses
 * only if a signature really changed.
 */
export async function dropWhatSqlMade(db: ClientBase): Promise<void> {
  const dependents = await callMany(db, Dependent, { text: DEPENDENTS });
  if (dependents.length > 0) return;
  const drops = await callMany(db, Drop, {
    text: `${MADE} select pg_catalog.format('drop %s if exists %s cascade', kind, name) as statement from made`,
  });
  for (const { statement } of drops) await run(db, { text: statement });
}
