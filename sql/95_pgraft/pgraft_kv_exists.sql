-- Whether a key is there.
create or replace function public.pgraft_kv_exists(key text, consistency text default 'linearizable') returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_read('kv_exists', jsonb_build_object(
    'key', key, 'consistency', consistency))::boolean;
$$;
comment on function public.pgraft_kv_exists(text, text) is
  'Whether a key is there.';
