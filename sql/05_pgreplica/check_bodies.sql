-- Parse every body now that all exist; files load with check_function_bodies off, in any order.
create or replace function pgreplica.check_bodies() returns void
language plpgsql volatile set search_path = '' as $$
begin
  perform pg_catalog.set_config('check_function_bodies', 'on', true);
  perform case l.lanname
            when 'sql' then pg_catalog.fmgr_sql_validator(p.oid)
            when 'plpgsql' then pg_catalog.plpgsql_validator(p.oid)
          end
     from pg_catalog.pg_proc p
     join pg_catalog.pg_language l on l.oid = p.prolang
     join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname in ('raft', 'peer', 'cluster', 'node', 'pg_replica', 'pgreplica');
end
$$;
comment on function pgreplica.check_bodies() is 'parse the body of every function of pg_replica';
