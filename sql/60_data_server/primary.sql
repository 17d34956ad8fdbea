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

create or replace view pg_replica.primary as select * from pg_replica.primary();
comment on view pg_replica.primary is 'pg_replica.primary() as a view.';
comment on column pg_replica.primary.node_id is 'The member''s number.';
comment on column pg_replica.primary.name is 'The member''s name.';
comment on column pg_replica.primary.host is 'Where clients reach its data server.';
comment on column pg_replica.primary.port is 'Port of its data server.';
comment on column pg_replica.primary.epoch is 'The epoch it was appointed in.';
comment on column pg_replica.primary.timeline is 'PostgreSQL''s timeline of that epoch.';
comment on column pg_replica.primary.since is 'Since when it takes writes; while it does not yet, since its appointment.';
comment on column pg_replica.primary.writable is 'It takes writes now.';
