-- The newest Raft term this node knows, by the control store of this node.
create or replace function public.pgraft_get_term() returns bigint
language sql stable security definer set search_path = '', pg_temp as $$
  select pgreplica.call('pgraft', jsonb_build_object(
    'function', 'get_term'))::bigint;
$$;
comment on function public.pgraft_get_term() is
  'The newest Raft term this node knows.';
