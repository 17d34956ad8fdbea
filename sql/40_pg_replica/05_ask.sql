-- Run one statement, whose answer is one jsonb value, in a session of another server, within a limit.
create or replace function node.ask(p_conninfo text, p_sql text, p_limit_ms integer) returns jsonb
language sql volatile set search_path = '', pg_temp as $$
  select node.ask_each(p_conninfo, array[p_sql], p_limit_ms);
$$;
