-- Where to connect now.
create or replace function pg_replica.primary() returns table (
  node_id integer, name text, host text, port integer, epoch bigint, timeline integer,
  since timestamptz, writable boolean
)
language sql volatile security definer set search_path = '', pg_temp set jit = off as $$
  select m.node_id, m.name, m.data_host, m.data_port, e.epoch, e.timeline,
         coalesce(e.serving_at, e.appointed_at), coalesce(s.writable, false)
    from cluster.newest_epoch() as e
    join cluster.member as m on m.node_id = e.node_id
    join node.seen as s on s.node_id = e.node_id
   where e.state in ('promoted', 'serving') or e.state = 'appointed' and s.writable;
$$;
comment on function pg_replica.primary() is
  'Where to connect for writes; no row while there is no primary.';
