-- Change a key if it is as expected.
create or replace function pg_replica.kv_cas(
  key text, expected_version bigint, new_value text,
  out swapped boolean, out version bigint, out value text
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_record(pgreplica.write('kv_cas', jsonb_build_object(
    'key', key, 'expected_version', expected_version::text, 'value', new_value))) as r (
    swapped boolean, version bigint, value text);
$$;
comment on function pg_replica.kv_cas(text, bigint, text) is
  'Gives a key a new value, null to delete it, only while its version is the expected one; 0: it must be absent. Says whether it did, and the version (0: absent) and value that hold afterwards. Errors: RF002 no leader or no quorum, nothing was proposed; RF003 the outcome is unknown.';
