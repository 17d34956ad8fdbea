-- Automatic failover is on again.
create or replace function pg_replica.resume() returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.act('resume', '{}')::boolean;
$$;
comment on function pg_replica.resume() is
  'Automatic failover is on again; false when it was not paused. Errors: RF002 no leader or no quorum.';
