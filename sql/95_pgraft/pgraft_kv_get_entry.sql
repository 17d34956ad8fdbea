-- A key's value and versions.
create or replace function public.pgraft_kv_get_entry(key text, consistency text default 'linearizable') returns table (
  value text, version bigint, created_version bigint, updated_at timestamptz
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.pgraft_read('kv_get_entry', jsonb_build_object(
    'key', key, 'consistency', consistency))) as r (
  value text, version bigint, created_version bigint, updated_at timestamptz);
$$;
comment on function public.pgraft_kv_get_entry(text, text) is
  'A key''s value and versions; no row when it is absent.';
