-- The version of the package these functions came with.
create or replace function pg_replica.version() returns text
language sql immutable security definer set search_path = '', pg_temp as $$
  select '0.1.0';
$$;
comment on function pg_replica.version() is 'Version of the pg_replica package on this node.';
