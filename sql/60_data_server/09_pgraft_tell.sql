-- What the pgraft interface tells from this node alone, by its control store.
create or replace function pgreplica.pgraft_tell(p_function text, p_args jsonb default '{}') returns jsonb
language sql stable set search_path = '', pg_temp as $$
  select pgreplica.call('pgraft', p_args || jsonb_build_object('function', p_function));
$$;
comment on function pgreplica.pgraft_tell(text, jsonb) is 'What the pgraft interface tells from this node alone.';
