-- Versions of a key, oldest first.
create or replace function pg_replica.kv_history(
  key text, after_version bigint default 0, max_rows integer default 1000,
  consistency text default 'linearizable'
) returns table (version bigint, value text, created_version bigint, updated_at timestamptz)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.read('kv_history', jsonb_build_object(
    'key', key, 'after_version', after_version::text, 'max_rows', max_rows, 'consistency', consistency))) as r (
    version bigint, value text, created_version bigint, updated_at timestamptz);
$$;
comment on function pg_replica.kv_history(text, bigint, integer, text) is
  'The versions of a key since the last kv_compact(), oldest first, from the one after after_version on, at most max_rows; a null value: deleted. consistency is linearizable (as of this call, confirmed by a majority; RF002 without one) or local (what this node has applied, which may be old).';
