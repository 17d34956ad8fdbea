-- How many keys there are, and what was done to them.
create or replace function public.pgraft_kv_get_stats() returns table (
  num_entries integer, total_operations bigint, last_applied_index bigint, puts bigint, deletes bigint,
  gets bigint, active_entries integer, deleted_entries integer, total_bytes bigint,
  compacted_version bigint
)
language sql stable security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_record(pgreplica.pgraft_tell('kv_get_stats')) as r (
  num_entries integer, total_operations bigint, last_applied_index bigint, puts bigint, deletes bigint,
  gets bigint, active_entries integer, deleted_entries integer, total_bytes bigint,
  compacted_version bigint);
$$;
comment on function public.pgraft_kv_get_stats() is
  'How many keys there are, and what was done to them.';
