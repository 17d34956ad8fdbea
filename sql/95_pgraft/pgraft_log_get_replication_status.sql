-- On the leader one row for each other member.
create or replace function public.pgraft_log_get_replication_status() returns table (
  node_id integer, match_index bigint, next_index bigint, is_replicating boolean, last_heartbeat text,
  state text, lag_entries bigint, is_voter boolean, last_heartbeat_ms integer
)
language sql stable security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.pgraft_tell('log_get_replication_status')) as r (
  node_id integer, match_index bigint, next_index bigint, is_replicating boolean, last_heartbeat text,
  state text, lag_entries bigint, is_voter boolean, last_heartbeat_ms integer);
$$;
comment on function public.pgraft_log_get_replication_status() is
  'On the leader one row for each other member: how far its log is known to match; elsewhere no rows. state: probe, replicate, snapshot.';
