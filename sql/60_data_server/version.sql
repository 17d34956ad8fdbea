-- The version of the package these functions came with, says the control store of this node.
create or replace function pg_replica.version() returns text
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.call('version') #>> '{}';
$$;
comment on function pg_replica.version() is 'Version of the pg_replica package on this node.';
