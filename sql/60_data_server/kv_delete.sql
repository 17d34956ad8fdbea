-- Take a key away, by the control store of this node.
create or replace function pg_replica.kv_delete(key text) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.write('kv_delete', jsonb_build_object('key', key))::boolean;
$$;
comment on function pg_replica.kv_delete(text) is
  'Takes a key away; false when it was not there. Errors: RF002 no leader or no quorum, nothing was proposed; RF003 the outcome is unknown.';
