-- Every promotion and its real reason, from the control store of this node.
create or replace function pg_replica.history() returns table (
  epoch bigint, timeline integer, switch_lsn pg_lsn, at timestamptz, old_primary integer,
  new_primary integer, reason text, lost_bytes bigint, write_gap_ms integer
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.call('history')) as r (
    epoch bigint, timeline integer, switch_lsn pg_lsn, at timestamptz, old_primary integer,
    new_primary integer, reason text, lost_bytes bigint, write_gap_ms integer);
$$;
comment on function pg_replica.history() is
  'One row per promotion, oldest first, with the reason it was decided for.';
