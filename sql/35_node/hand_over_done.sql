-- The planned hand-over of an epoch ended: where its WAL ends, or why the primary goes on.
create or replace function node.hand_over_done(
  p_epoch bigint, p_shutdown_lsn pg_lsn, p_problem text
) returns void
language plpgsql volatile set search_path = '' as $$
begin
  insert into node.handed_over (epoch, shutdown_lsn, problem)
  values (p_epoch, p_shutdown_lsn, p_problem)
  on conflict (epoch) do update
    set shutdown_lsn = excluded.shutdown_lsn, problem = excluded.problem;
  perform pg_notify('pg_replica_wake', 'handed_over');
end
$$;
