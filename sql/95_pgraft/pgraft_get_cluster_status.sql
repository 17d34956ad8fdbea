-- One row for each member, ordered by node_id.
create or replace function public.pgraft_get_cluster_status() returns table (
  node_id integer, address text, port integer, is_leader boolean, state text, term bigint,
  commit_index bigint, last_log_index bigint, last_heartbeat text, current_term bigint, leader_id bigint,
  num_nodes integer, messages_processed bigint, heartbeats_sent bigint, elections_triggered bigint,
  is_voter boolean, is_self boolean, last_heartbeat_ms integer, observed_at timestamptz
)
language sql stable security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.pgraft_tell('get_cluster_status')) as r (
  node_id integer, address text, port integer, is_leader boolean, state text, term bigint,
  commit_index bigint, last_log_index bigint, last_heartbeat text, current_term bigint, leader_id bigint,
  num_nodes integer, messages_processed bigint, heartbeats_sent bigint, elections_triggered bigint,
  is_voter boolean, is_self boolean, last_heartbeat_ms integer, observed_at timestamptz);
$$;
comment on function public.pgraft_get_cluster_status() is
  'One row for each member, ordered by node_id: its own row is exact, the others are as they were last heard of; Unknown after two election timeouts. last_heartbeat: how long ago, on the own row of the leader that of its last majority. Counters begin with the worker.';
