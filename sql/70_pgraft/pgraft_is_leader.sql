-- Whether this node leads, by the control store of this node.
create or replace function public.pgraft_is_leader() returns boolean
language sql stable security definer set search_path = '', pg_temp as $$
  select pgreplica.call('pgraft', jsonb_build_object(
    'function', 'is_leader'))::boolean;
$$;
comment on function public.pgraft_is_leader() is
  'Whether this node leads.';
