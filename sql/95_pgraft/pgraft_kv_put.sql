-- Gives a key a value.
create or replace function public.pgraft_kv_put(key text, value text) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.pgraft_write('kv_put', jsonb_build_object(
    'key', key, 'value', value))::boolean;
$$;
comment on function public.pgraft_kv_put(text, text) is
  'Gives a key a value.';
