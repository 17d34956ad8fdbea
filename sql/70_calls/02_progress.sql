-- progress() as a view.
create or replace view pg_replica.progress as select * from pg_replica.progress();
comment on view pg_replica.progress is 'pg_replica.progress() as a view.';
comment on column pg_replica.progress.node_id is 'The member that works.';
comment on column pg_replica.progress.job is 'What it does, such as clone.';
comment on column pg_replica.progress.phase is 'The step it is at.';
comment on column pg_replica.progress.done_bytes is 'Bytes done.';
comment on column pg_replica.progress.total_bytes is 'Bytes to do; null while unknown.';
comment on column pg_replica.progress.started_at is 'When the job began.';
