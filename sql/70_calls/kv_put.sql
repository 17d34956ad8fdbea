-- Give a key a value.
create or replace function pg_replica.kv_put(key text, value text) returns bigint
language plpgsql volatile security definer set search_path = '', pg_temp as $$
begin
  return pgreplica.write('kv_put', jsonb_build_object('key', key, 'value', value))::bigint;
end
$$;
comment on function pg_replica.kv_put(text, text) is
  'Gives a key a value and returns its new version, once a majority has it on disk and this node has applied it. Versions of all keys only grow, and none is used twice: a fencing token. A key has 1 to 255 bytes and no control characters, a value at most 1048576 bytes. NOTIFY pg_replica_kv on the control store says which key changed. Errors: RF002 no leader or no quorum, nothing was proposed; RF003 the outcome is unknown.';
