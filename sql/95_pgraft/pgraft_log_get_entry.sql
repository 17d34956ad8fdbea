-- The data of a committed user entry.
create or replace function public.pgraft_log_get_entry(index bigint) returns text
language sql stable security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_tell('log_get_entry', jsonb_build_object('index', index)) #>> '{}';
$$;
comment on function public.pgraft_log_get_entry(bigint) is
  'The data of a committed user entry; null when there is none at that place, RF005 when it is forgotten (kept_entries).';
