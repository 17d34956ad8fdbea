-- A read of keys: what may be old is read here and now, all else in a session of our own, behind a barrier.
create or replace function node.read(p_function text, p_args jsonb) returns jsonb
language sql volatile set search_path = '', pg_temp as $$
  select case when p_args ->> 'consistency' = 'local' then node.call(p_function, p_args, session_user)
              else node.act(p_function, p_args) end;
$$;
