-- Is a key there?
create or replace function pg_replica.kv_exists(key text, consistency text default 'linearizable') returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.read('kv_exists', jsonb_build_object('key', key, 'consistency', consistency))::boolean;
$$;
comment on function pg_replica.kv_exists(text, text) is
  'Whether a key is there. consistency is linearizable (as of this call, confirmed by a majority; RF002 without one) or local (what this node has applied, which may be old).';
