-- What the pgraft interface tells from this node alone: answered here and now.
create or replace function pgreplica.pgraft_tell(p_function text, p_args jsonb default '{}') returns jsonb
language sql stable set search_path = '', pg_temp as $$
  select node.pgraft_local(p_function, p_args);
$$;
comment on function pgreplica.pgraft_tell(text, jsonb) is 'What the pgraft interface tells from this node alone.';
