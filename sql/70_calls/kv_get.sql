-- The value of a key.
create or replace function pg_replica.kv_get(key text, consistency text default 'linearizable') returns text
language plpgsql volatile security definer set search_path = '', pg_temp as $$
begin
  return pgreplica.read('kv_get', jsonb_build_object('key', key, 'consistency', consistency)) #>> '{}';
end
$$;
comment on function pg_replica.kv_get(text, text) is
  'The value of a key; null when it is absent. consistency is linearizable (as of this call, confirmed by a majority; RF002 without one) or local (what this node has applied, which may be old).';
