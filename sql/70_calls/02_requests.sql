-- requests() as a view.
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
