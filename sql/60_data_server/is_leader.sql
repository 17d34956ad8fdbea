-- Does this node coordinate, says the control store of this node.
create or replace function pg_replica.is_leader() returns boolean
language sql volatile security definer set search_path = '', pg_temp as $$
  select (pgreplica.call('is_leader') #>> '{}')::boolean;
$$;
comment on function pg_replica.is_leader() is 'Whether this node leads (coordinates).';
