-- Commands that were given on this node.
create or replace function public.pgraft_get_queue_status() returns table (
  cmd_position integer, command_type integer, node_id integer, address text, port integer, log_data text,
  command text, status text, error text, log_index bigint, submitted_at timestamptz
)
language sql stable security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.pgraft_tell('get_queue_status')) as r (
  cmd_position integer, command_type integer, node_id integer, address text, port integer, log_data text,
  command text, status text, error text, log_index bigint, submitted_at timestamptz);
$$;
comment on function public.pgraft_get_queue_status() is
  'Commands that were given on this node: those not yet answered, and the last hundred that were.';
