-- Whether this node leads.
create or replace function public.pgraft_is_leader() returns boolean
language sql stable security definer set search_path = '', pg_temp as $$
  select node.pgraft_local('is_leader', jsonb_build_object(
    'function', 'is_leader'))::boolean;
$$;
comment on function public.pgraft_is_leader() is
  'Whether this node leads.';
