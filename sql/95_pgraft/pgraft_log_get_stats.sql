-- The log of this node.
create or replace function public.pgraft_log_get_stats() returns table (
  log_size bigint, last_index bigint, commit_index bigint, last_applied bigint, first_index bigint,
  snapshot_index bigint, entry_count bigint, last_term bigint, replicated bigint, committed bigint,
  applied bigint, errors bigint
)
language sql stable security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_record(pgreplica.pgraft_tell('log_get_stats')) as r (
  log_size bigint, last_index bigint, commit_index bigint, last_applied bigint, first_index bigint,
  snapshot_index bigint, entry_count bigint, last_term bigint, replicated bigint, committed bigint,
  applied bigint, errors bigint);
$$;
comment on function public.pgraft_log_get_stats() is
  'The log of this node: one row. log_size: bytes of the kept entries. errors: 1 while applying has stopped.';
