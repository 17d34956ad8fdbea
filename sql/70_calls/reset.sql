-- Let a setting of the cluster be its default again.
create or replace function pg_replica.reset(name text) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.act('set', jsonb_build_object('name', name))::boolean;
$$;
comment on function pg_replica.reset(text) is
  'Lets one of pg_replica.settings() be its default again. Errors: 22023 no such setting; RF002 no leader or no quorum.';
