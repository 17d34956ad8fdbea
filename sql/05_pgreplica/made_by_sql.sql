-- Every function and view that the files under sql/ make: all of our schemas' but trigger functions (they
-- belong to tables, so to migrations) and what extensions own; of public only those of the pgraft interface, by name.
create or replace view pgreplica.made_by_sql as
  select n.nspname as schema_name,
         case p.prokind when 'p' then 'procedure' else 'function' end as kind,
         p.oid::regprocedure::text as name,
         pg_catalog.concat_ws('|', p.prolang, pg_catalog.pg_get_function_result(p.oid), p.provolatile,
           p.prosecdef, p.proconfig, p.prosrc) as definition
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
   where (n.nspname in ('raft', 'peer', 'cluster', 'node', 'pg_replica', 'pgreplica')
          or n.nspname = 'public' and p.proname in (
            select substring(f.path from '_pgraft/(pgraft_[a-z_]+)[.]sql$') from pgreplica.sql_file f))
     and p.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype
     and not exists (select from pg_catalog.pg_depend d
                      where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                        and d.objid = p.oid and d.deptype = 'e')
  union all
  select n.nspname, 'view', c.oid::regclass::text, pg_catalog.pg_get_viewdef(c.oid)
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where (n.nspname in ('raft', 'peer', 'cluster', 'node', 'pg_replica', 'pgreplica')
          or n.nspname = 'public' and c.relname in (
            select substring(f.path from '_pgraft/(pgraft_[a-z_]+)[.]sql$') from pgreplica.sql_file f))
     and c.relkind = 'v';
comment on view pgreplica.made_by_sql is 'the functions and views of pg_replica, with their definitions';
