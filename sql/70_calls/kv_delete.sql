-- Take a key away.
create or replace function pg_replica.kv_delete(key text) returns boolean
language plpgsql volatile security definer set search_path = '', pg_temp as $$
begin
  return pgreplica.write('kv_delete', jsonb_build_object('key', key))::boolean;
end
$$;
comment on function pg_replica.kv_delete(text) is
  'Takes a key away; false when it was not there. Errors: RF002 no leader or no quorum, nothing was proposed; RF003 the outcome is unknown.';
