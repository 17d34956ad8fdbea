-- How far the long job of this node is.
create or replace function node.set_progress(
  p_job text, p_phase text, p_done bigint, p_total bigint
) returns void
language sql volatile set search_path = '' as $$
  insert into node.progress (node_id, job, phase, done_bytes, total_bytes, started_at)
  select i.node_id, p_job, p_phase, p_done, p_total, raft.now() from node.identity as i
  on conflict (node_id) do update
    set job = excluded.job, phase = excluded.phase, done_bytes = excluded.done_bytes,
        total_bytes = excluded.total_bytes,
        started_at = case when node.progress.job = excluded.job then node.progress.started_at
                          else excluded.started_at end;
$$;
