-- The leader's node id, by the control store of this node.
create or replace function public.pgraft_get_leader() returns bigint
language sql stable security definer set search_path = '', pg_temp as $$
  select pgreplica.call('pgraft', jsonb_build_object(
    'function', 'get_leader'))::bigint;
$$;
comment on function public.pgraft_get_leader() is
  'The leader''s node id; 0 while none is known.';
