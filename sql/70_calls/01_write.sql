-- A write of the log as a service: outside the caller's transaction, and so refused in one that was made read-only.
-- That a standby's sessions all are does not count.
--
-- Once it was asked for, no answer means that the outcome is unknown (H13).
create or replace function pgreplica.write(p_function text, p_args jsonb) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  if current_setting('transaction_read_only')::boolean and not pg_is_in_recovery() then
    raise exception using errcode = 'read_only_sql_transaction',
      message = format('cannot execute %s() in a read-only transaction',
                       coalesce('pgraft_' || (p_args ->> 'function'), p_function));
  end if;
  return pgreplica.serve_caller(p_function, p_args);
exception when connection_failure or admin_shutdown or crash_shutdown or sqlstate 'RF007' then
  raise exception using errcode = 'RF003', message = 'outcome unknown; the entry may still commit',
    detail = sqlerrm, hint = 'replicate() with the same request_id, or a look at the key, tells.';
end
$$;
comment on function pgreplica.write(text, jsonb) is
  'A write of the log as a service.';
