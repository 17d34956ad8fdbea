-- Set something for the whole cluster.
create or replace function pg_replica.set(name text, value text) returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select pgreplica.act('set', jsonb_build_object('name', name, 'value', value))::boolean;
$$;
comment on function pg_replica.set(text, text) is
  'Sets one of pg_replica.settings() for the whole cluster, at once; a null value is its default. Errors: 22023 no such setting, or out of its range; RF002 no leader or no quorum.';
