-- What this node's worker is doing.
create or replace function public.pgraft_get_worker_state() returns text
language sql stable security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_tell('get_worker_state') #>> '{}';
$$;
comment on function public.pgraft_get_worker_state() is
  'running, stopped (no sign of life for a second, or three heartbeats), initializing (no member yet) or error (applying the log has stopped).';
