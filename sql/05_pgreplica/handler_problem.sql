-- Why a function is no apply handler, or none any more; null when it is one.
--
-- A worker calls it in a superuser's session, so it must be a superuser's own.  Security definer is not enough for
-- others: much of what such a function leaves behind runs with the session's rights (deferred triggers before
-- PostgreSQL 18, the query of a held cursor, a search_path, statements prepared under the worker's names).  The row
-- lock keeps it as it is until the transaction ends.
create or replace function pgreplica.handler_problem(p_handler regprocedure, p_owner text) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_proc  pg_catalog.pg_proc;
  v_owner pg_catalog.pg_roles;
begin
  select * into v_proc from pg_catalog.pg_proc as p where p.oid = p_handler for share;
  if not found then
    return 'it is not there';
  elsif v_proc.prokind <> 'f' or v_proc.proretset or v_proc.proargtypes::text <> '20 20 25' then
    return 'it is no function of (index bigint, term bigint, data text)';
  end if;
  select * into strict v_owner from pg_catalog.pg_roles as r where r.oid = v_proc.proowner;
  return case when v_owner.rolname <> p_owner then pg_catalog.format('it belongs to %s now', v_owner.rolname)
              when not v_owner.rolsuper then 'its owner must be a superuser' end;
end
$$;
comment on function pgreplica.handler_problem(regprocedure, text) is
  'why a function cannot be called for every entry';
