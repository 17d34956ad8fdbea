-- Where to connect now, from the control store of this node.
create or replace function pg_replica.primary() returns table (
  node_id integer, name text, host text, port integer, epoch bigint, timeline integer,
  since timestamptz, writable boolean
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.call('primary')) as r (
    node_id integer, name text, host text, port integer, epoch bigint, timeline integer,
    since timestamptz, writable boolean);
$$;
comment on function pg_replica.primary() is
  'Where to connect for writes; no row while there is no primary.';
