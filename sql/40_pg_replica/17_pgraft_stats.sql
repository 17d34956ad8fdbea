-- The log of this node in figures.
create or replace function node.pgraft_stats() returns jsonb
language sql stable set search_path = '', pg_temp as $$
  select jsonb_build_object(
           'log_size', (select coalesce(sum(pg_column_size(l.body)), 0) from raft.log as l),
           'last_index', h.last_index, 'commit_index', h.commit_index, 'last_applied', h.applied_index,
           'first_index', h.snapshot_index + 1, 'snapshot_index', h.snapshot_index,
           'entry_count', h.last_index - h.snapshot_index, 'last_term', h.last_term,
           'replicated', h.last_index, 'committed', h.commit_index, 'applied', h.applied_index,
           'errors', (h.alarm is not null)::integer)
    from raft.hard_state as h;
$$;
