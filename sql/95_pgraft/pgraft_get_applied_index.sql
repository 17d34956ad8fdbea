-- How far this node has applied the log.
create or replace function public.pgraft_get_applied_index() returns bigint
language sql stable security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_tell('get_applied_index')::bigint;
$$;
comment on function public.pgraft_get_applied_index() is
  'How far this node has applied the log.';
