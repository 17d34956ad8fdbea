-- Who coordinates, says the control store of this node.
create or replace function pg_replica.leader() returns integer
language sql volatile security definer set search_path = '', pg_temp as $$
  select (pgreplica.call('leader') #>> '{}')::integer;
$$;
comment on function pg_replica.leader() is
  'Number of the member that leads (coordinates), if it was heard within three seconds. Not to be confused with the primary.';
