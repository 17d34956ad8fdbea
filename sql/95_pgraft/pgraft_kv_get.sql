-- The value of a key, or null.
create or replace function public.pgraft_kv_get(key text, consistency text default 'linearizable') returns text
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_read('kv_get', jsonb_build_object(
    'key', key, 'consistency', consistency)) #>> '{}';
$$;
comment on function public.pgraft_kv_get(text, text) is
  'The value of a key, or null.';
