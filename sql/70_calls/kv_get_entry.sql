-- A key, its value and versions.
create or replace function pg_replica.kv_get_entry(
  key text, consistency text default 'linearizable'
) returns table (
  value text, version bigint, created_version bigint, updated_at timestamptz
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.read('kv_get_entry', jsonb_build_object(
    'key', key, 'consistency', consistency))) as r (
    value text, version bigint, created_version bigint, updated_at timestamptz);
$$;
comment on function pg_replica.kv_get_entry(text, text) is
  'A key''s value, its version, the version it came to be with, and when it changed by the clock of the node that was asked; no row when it is absent. consistency is linearizable (as of this call, confirmed by a majority; RF002 without one) or local (what this node has applied, which may be old).';
