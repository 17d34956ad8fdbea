-- Parse every body now that all exist; files load with check_function_bodies off, in any order.
create or replace function pgreplica.check_bodies() returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_one record;
begin
  perform pg_catalog.set_config('check_function_bodies', 'on', true);
  for v_one in
    select p.oid, l.lanname
      from pg_catalog.pg_proc p
      join pg_catalog.pg_language l on l.oid = p.prolang
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace
     where (n.nspname in ('raft', 'peer', 'cluster', 'node', 'pg_replica', 'pgreplica')
            or n.nspname = 'public' and p.proname in (
              select pg_catalog.substring(f.path, '_pgraft/(pgraft_[a-z_]+)[.]sql$') from pgreplica.sql_file f))
       and l.lanname in ('sql', 'plpgsql')
  loop
    begin
      if v_one.lanname = 'sql' then
        perform pg_catalog.fmgr_sql_validator(v_one.oid);
      else
        perform pg_catalog.plpgsql_validator(v_one.oid);
      end if;
    exception when others then
      raise exception 'function %: %', v_one.oid::pg_catalog.regprocedure, sqlerrm
        using errcode = sqlstate;
    end;
  end loop;
end
$$;
comment on function pgreplica.check_bodies() is 'parse the body of every function of pg_replica';
