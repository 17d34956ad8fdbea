-- The version of this interface.
create or replace function public.pgraft_get_version() returns text
language sql stable security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_tell('get_version') #>> '{}';
$$;
comment on function public.pgraft_get_version() is
  'The version of this interface; that of the package is pg_replica.version().';
