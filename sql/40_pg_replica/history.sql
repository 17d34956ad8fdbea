-- Every promotion and its real reason.
create or replace function pg_replica.history() returns table (
  epoch bigint, timeline integer, switch_lsn pg_lsn, at timestamptz, old_primary integer,
  new_primary integer, reason text, lost_bytes bigint, write_gap_ms integer
)
language sql stable security definer set search_path = '', pg_temp as $$
  select e.epoch, e.timeline, e.switch_lsn, coalesce(e.serving_at, e.appointed_at), e.old_primary,
         e.node_id, e.reason, e.lost_bytes, e.write_gap_ms
    from cluster.epoch as e
   where e.switch_lsn is not null
   order by e.epoch;
$$;
comment on function pg_replica.history() is
  'One row per promotion, oldest first, with the reason it was decided for.';
