-- What operators asked for, and what became of it, from the control store of this node.
create or replace function pg_replica.requests(max_rows integer default 100) returns table (
  request_id bigint, kind text, state text, from_node integer, to_node integer, epoch bigint,
  reason text, requested_by text, requested_at timestamptz, finished_at timestamptz,
  write_gap_ms integer
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.call('requests', jsonb_build_object('max_rows', max_rows))) as r (
    request_id bigint, kind text, state text, from_node integer, to_node integer,
    epoch bigint, reason text, requested_by text, requested_at timestamptz,
    finished_at timestamptz, write_gap_ms integer);
$$;
comment on function pg_replica.requests(integer) is
  'Requests for a failover or switchover, newest first.';
