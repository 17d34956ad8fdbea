-- Give up a request that still waits.
create or replace function pg_replica.cancel(request_id bigint) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.act('cancel', jsonb_build_object('request_id', request_id))::boolean;
$$;
comment on function pg_replica.cancel(bigint) is
  'Gives up a request that still waits; false when it was running or over already. Errors: RF002 no leader or no quorum.';
