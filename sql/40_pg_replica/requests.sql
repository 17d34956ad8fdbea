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

create or replace view pg_replica.requests as select * from pg_replica.requests();
comment on view pg_replica.requests is 'pg_replica.requests() as a view: the newest hundred.';
comment on column pg_replica.requests.request_id is 'Its number; pg_replica.cancel takes it.';
comment on column pg_replica.requests.kind is 'failover or switchover.';
comment on column pg_replica.requests.state is 'waiting, running, done, failed or unknown.';
comment on column pg_replica.requests.from_node is 'The primary it moves from.';
comment on column pg_replica.requests.to_node is 'The primary it moves to.';
comment on column pg_replica.requests.epoch is 'The epoch it led to.';
comment on column pg_replica.requests.reason is 'Why it ended or waits, in one sentence.';
comment on column pg_replica.requests.requested_by is 'The login that asked.';
comment on column pg_replica.requests.requested_at is 'When it was asked for.';
comment on column pg_replica.requests.finished_at is 'When it was done or failed.';
comment on column pg_replica.requests.write_gap_ms is 'How long no client could write, in milliseconds.';
