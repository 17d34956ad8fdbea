-- No automatic failover for now.
create or replace function pg_replica.pause(why text) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.act('pause', jsonb_build_object('why', why))::boolean;
$$;
comment on function pg_replica.pause(text) is
  'No automatic failover until pg_replica.resume(); fencing stays. why is shown to everyone. Errors: RF002 no leader or no quorum.';
