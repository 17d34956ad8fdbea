-- Serve a caller of the log as a service where it is, or in a session of our own: a REPEATABLE READ transaction would
-- never see the outcome, and one that is read-only could not count the read.
create or replace function pgreplica.serve_caller(p_function text, p_args jsonb) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  if current_setting('transaction_isolation') = 'read committed'
     and not current_setting('transaction_read_only')::boolean then
    return node.serve(p_function, p_args, session_user);
  end if;
  return pgreplica.act(p_function, p_args);
end
$$;
