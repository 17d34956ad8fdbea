-- Call a function for every entry from now on, where the one before has stopped; null: none.
create or replace function pgreplica.set_handler(p_handler regprocedure, p_by text) returns boolean
language plpgsql volatile set search_path = '' as $$
declare
  v_owner   text := (select r.rolname from pg_catalog.pg_proc as p
                       join pg_catalog.pg_roles as r on r.oid = p.proowner where p.oid = p_handler);
  v_problem text;
begin
  if pg_catalog.pg_is_in_recovery() then
    raise exception using errcode = 'read_only_sql_transaction', message = 'pgraft: this server is a standby',
      hint = 'Set the handler on the primary: it is replicated, and called on whichever server is the primary.';
  elsif p_handler is not null then
    v_problem := pgreplica.handler_problem(p_handler, v_owner);
    if v_problem is not null then
      raise exception using errcode = 'invalid_parameter_value',
        message = pg_catalog.format('pgraft: %s cannot be an apply handler: %s', p_handler, v_problem),
        hint = 'It is a superuser''s function of (index bigint, term bigint, data text) returns void.';
    elsif not pg_catalog.pg_has_role(p_by, v_owner, 'usage') then
      raise exception using errcode = 'insufficient_privilege',
        message = pg_catalog.format('pgraft: %s belongs to %s', p_handler, v_owner);
    end if;
  end if;
  insert into pgreplica.apply_handler (handler, owner, set_by)
  values (pg_catalog.replace(p_handler::text, '(bigint,bigint,text)', ''), v_owner, p_by)
  on conflict (singleton) do update
    set handler = excluded.handler, owner = excluded.owner, set_by = excluded.set_by,
        failures = 0, error = null, failed_at = null;
  return true;
end
$$;
comment on function pgreplica.set_handler(regprocedure, text) is 'name the function that is called for every entry';
