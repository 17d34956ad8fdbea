-- The value of a key, or null.
create or replace function public.pgraft_kv_get(key text, consistency text default 'linearizable') returns text
language sql volatile security definer set search_path = '', pg_temp as $$
  select node.read('pgraft', jsonb_build_object(
    'function', 'kv_get',
    'key', key,
    'consistency', consistency)) #>> '{}';
$$;
comment on function public.pgraft_kv_get(text, text) is
  'The value of a key, or null.';
