-- Run one statement, whose answer is one jsonb value, in a session of another server, within a limit.
create or replace function pgreplica.ask(p_conninfo text, p_sql text, p_limit_ms integer) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  return pgreplica.ask_each(p_conninfo, array[p_sql], array[p_limit_ms]);
end
$$;
comment on function pgreplica.ask(text, text, integer) is
  'Run a statement in a session of another server, within a limit.';
