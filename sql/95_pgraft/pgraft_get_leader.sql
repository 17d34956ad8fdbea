-- The leader's node id.
create or replace function public.pgraft_get_leader() returns bigint
language sql stable security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_tell('get_leader')::bigint;
$$;
comment on function public.pgraft_get_leader() is
  'The leader''s node id; 0 while none is known.';
