-- The newest Raft term this node knows.
create or replace function public.pgraft_get_term() returns bigint
language sql stable security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_tell('get_term')::bigint;
$$;
comment on function public.pgraft_get_term() is
  'The newest Raft term this node knows.';
