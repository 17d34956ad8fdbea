-- Gives a key a new value if its version is the expected one.
create or replace function public.pgraft_kv_cas(key text, expected_version bigint, new_value text) returns table (
  swapped boolean, version bigint, value text
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_record(pgreplica.pgraft_write('kv_cas', jsonb_build_object(
    'key', key, 'expected_version', expected_version::text, 'value', new_value))) as r (
  swapped boolean, version bigint, value text);
$$;
comment on function public.pgraft_kv_cas(text, bigint, text) is
  'Gives a key a new value if its version is the expected one; what holds afterwards.';
