-- One row per member: what it is, what it is meant to be, and why.
create or replace function pg_replica.status() returns table (
  node_id integer, name text, host text, port integer, raft_role text, role text, goal text,
  state text, writable boolean, term bigint, epoch bigint, timeline integer, wal_lsn pg_lsn,
  replay_lsn pg_lsn, lag_bytes bigint, lag_ms bigint, sync_state text, priority integer,
  promotable boolean, reason text, observed_at timestamptz
)
language sql volatile security definer set search_path = '', pg_temp set jit = off as $$
  select m.node_id, m.name, m.data_host, m.data_port, s.raft_role, s.role,
         case g.goal when 'hand_over' then 'standby'
                     when 'pledged'   then case when m.node_id = e.old_primary then 'fenced' else 'standby' end
                     when 'none'      then null
                     else g.goal end,
         s.state, coalesce(s.writable, false), h.current_term, s.epoch, s.timeline, s.wal_lsn, s.replay_lsn,
         s.lag_bytes, s.lag_ms,
         coalesce(s.sync_state, case when s.role = 'standby' and m.node_id = any (p.attached)
           then case when c.rule_k > 0 and m.node_id = any (c.rule_cohort) then 'quorum' else 'async' end end),
         m.priority, m.promotable, w.why, s.observed_at
    from cluster.member as m
    join node.seen as s on s.node_id = m.node_id
    join node.why as w on w.node_id = m.node_id
    join cluster.goal as g on g.node_id = m.node_id
   cross join raft.hard_state as h
   cross join cluster.state as c
   cross join cluster.newest_epoch() as e
    left join node.seen as p on p.node_id = e.node_id and p.role = 'primary'
   order by m.node_id;
$$;
comment on function pg_replica.status() is
  'One row per member, by node_id: what it is, what it is meant to be, and why. Answered from what this node knows, without asking anyone; a member of which nothing was heard for three seconds is unreachable.';
