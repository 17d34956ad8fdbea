-- What operators asked for, and what became of it.
create or replace function pg_replica.requests(max_rows integer default 100) returns table (
  request_id bigint, kind text, state text, from_node integer, to_node integer, epoch bigint,
  reason text, requested_by text, requested_at timestamptz, finished_at timestamptz,
  write_gap_ms integer
)
language sql stable security definer set search_path = '', pg_temp as $$
  select r.request_id, r.kind, r.state, r.from_node, r.to_node, r.epoch, r.reason, r.requested_by,
         r.requested_at, r.finished_at, r.write_gap_ms
    from cluster.request as r
   order by r.request_id desc limit node.max_rows(max_rows, 100);
$$;
comment on function pg_replica.requests(integer) is
  'Requests for a failover or switchover, newest first.';
