-- A write of the log as a service: outside the caller's transaction, and so refused in one that was made read-only.
create or replace function node.write(p_function text, p_args jsonb) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  if current_setting('transaction_read_only')::boolean and not pg_is_in_recovery() then
    raise exception using errcode = 'read_only_sql_transaction',
      message = format('cannot execute %s() in a read-only transaction', p_function);
  end if;
  return node.act(p_function, p_args);
end
$$;
