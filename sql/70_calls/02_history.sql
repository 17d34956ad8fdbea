-- history() as a view.
create or replace view pg_replica.history as select * from pg_replica.history();
comment on view pg_replica.history is 'pg_replica.history() as a view.';
comment on column pg_replica.history.epoch is 'Number of the decision; one that led to no promotion is left out.';
comment on column pg_replica.history.timeline is 'PostgreSQL''s timeline that it began.';
comment on column pg_replica.history.switch_lsn is 'Where that timeline left the one before.';
comment on column pg_replica.history.at is 'When the new primary took writes; if it never did, when it was appointed.';
comment on column pg_replica.history.old_primary is 'The primary before; null for the first.';
comment on column pg_replica.history.new_primary is 'The primary from then on.';
comment on column pg_replica.history.reason is 'Why, in one sentence.';
comment on column pg_replica.history.lost_bytes is 'WAL known to be lost, in bytes; null when nothing acknowledged can have been.';
comment on column pg_replica.history.write_gap_ms is 'How long no client could write, by the coordinator''s monotonic clock.';
