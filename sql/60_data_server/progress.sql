-- Long work under way on this node, from the control store of this node.
create or replace function pg_replica.progress() returns table (
  node_id integer, job text, phase text, done_bytes bigint, total_bytes bigint, started_at timestamptz
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.call('progress')) as r (
    node_id integer, job text, phase text, done_bytes bigint, total_bytes bigint,
    started_at timestamptz);
$$;
comment on function pg_replica.progress() is
  'Long work under way on this node, such as a base backup; no row while there is none.';

create or replace view pg_replica.progress as select * from pg_replica.progress();
comment on view pg_replica.progress is 'pg_replica.progress() as a view.';
comment on column pg_replica.progress.node_id is 'The member that works.';
comment on column pg_replica.progress.job is 'What it does, such as clone.';
comment on column pg_replica.progress.phase is 'The step it is at.';
comment on column pg_replica.progress.done_bytes is 'Bytes done.';
comment on column pg_replica.progress.total_bytes is 'Bytes to do; null while unknown.';
comment on column pg_replica.progress.started_at is 'When the job began.';
