-- Takes a key away.
create or replace function public.pgraft_kv_delete(key text) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_write('kv_delete', jsonb_build_object('key', key))::boolean;
$$;
comment on function public.pgraft_kv_delete(text) is
  'Takes a key away; false when it was not there.';
