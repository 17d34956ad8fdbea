-- Forget versions that were replaced.
create or replace function pg_replica.kv_compact() returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.write('kv_compact', '{}')::boolean;
$$;
comment on function pg_replica.kv_compact() is
  'Forgets deleted keys and all versions that were replaced, on every node at one place in the log: kv_history() begins there. Errors: RF002 no leader or no quorum, nothing was proposed; RF003 the outcome is unknown.';
