-- One row per member: what it is, what it is meant to be, and why, from the control store of this node.
create or replace function pg_replica.status() returns table (
  node_id integer, name text, host text, port integer, raft_role text, role text, goal text,
  state text, writable boolean, term bigint, epoch bigint, timeline integer, wal_lsn pg_lsn,
  replay_lsn pg_lsn, lag_bytes bigint, lag_ms bigint, sync_state text, priority integer,
  promotable boolean, reason text, observed_at timestamptz
)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.call('status')) as r (
    node_id integer, name text, host text, port integer, raft_role text, role text,
    goal text, state text, writable boolean, term bigint, epoch bigint, timeline integer,
    wal_lsn pg_lsn, replay_lsn pg_lsn, lag_bytes bigint, lag_ms bigint, sync_state text,
    priority integer, promotable boolean, reason text, observed_at timestamptz);
$$;
comment on function pg_replica.status() is
  'One row per member, by node_id: what it is, what it is meant to be, and why. Answered from what this node knows, without asking anyone; a member of which nothing was heard for three seconds is unreachable.';
