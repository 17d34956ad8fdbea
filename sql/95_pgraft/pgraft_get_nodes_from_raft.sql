-- The committed membership as JSON.
create or replace function public.pgraft_get_nodes_from_raft() returns text
language sql stable security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_tell('get_nodes_from_raft') #>> '{}';
$$;
comment on function public.pgraft_get_nodes_from_raft() is
  'The committed membership as JSON: a list of id, name, address and active.';
