-- Keys in order.
create or replace function pg_replica.kv_list(
  prefix text default '', after_key text default null, max_rows integer default 1000,
  consistency text default 'linearizable'
) returns table (key text, value text, version bigint, updated_at timestamptz)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.read('kv_list', jsonb_build_object(
    'prefix', prefix, 'after_key', after_key, 'max_rows', max_rows, 'consistency', consistency))) as r (
    key text, value text, version bigint, updated_at timestamptz);
$$;
comment on function pg_replica.kv_list(text, text, integer, text) is
  'Keys that begin with prefix and come after after_key, in the order of their bytes, at most max_rows: one consistent state. The last key is the next page''s after_key. consistency is linearizable (as of this call, confirmed by a majority; RF002 without one) or local (what this node has applied, which may be old).';
