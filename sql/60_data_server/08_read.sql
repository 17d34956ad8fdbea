-- A read of keys: what may be old is answered at once, all else waits for a majority.
create or replace function pgreplica.read(p_function text, p_args jsonb) returns jsonb
language sql volatile set search_path = '', pg_temp as $$
  select case when p_args ->> 'consistency' = 'local' then pgreplica.call(p_function, p_args)
              else pgreplica.act(p_function, p_args) end;
$$;
comment on function pgreplica.read(text, jsonb) is
  'A read of keys, through the control store of this node.';
