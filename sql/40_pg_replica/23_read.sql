-- A read of keys: what may be old is read here and now, all else behind a barrier.
create or replace function pgreplica.read(p_function text, p_args jsonb) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  if p_args ->> 'consistency' = 'local' then
    return node.serve(p_function, p_args, session_user);
  end if;
  return pgreplica.serve_caller(p_function, p_args);
end
$$;
