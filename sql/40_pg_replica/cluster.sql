-- The cluster as a whole, in one row.
create or replace function pg_replica.cluster() returns table (
  cluster_id text, system_identifier text, leader_id integer, primary_id integer, term bigint,
  epoch bigint, members integer, voters integer, quorum integer, has_quorum boolean,
  writable boolean, commit_rule text, failover text, failover_reason text, paused boolean
)
language sql volatile security definer set search_path = '', pg_temp set jit = off as $$
  select i.cluster_id::text, c.system_identifier, l.leader_id,
         (select p.node_id from pg_replica.primary() as p),
         h.current_term, coalesce(e.epoch, 0), m.members, m.voters, m.voters / 2 + 1,
         l.leader_id is not null, m.writable, cluster.standby_names(), v.failover, v.why,
         c.paused_why is not null
    from node.identity as i
   cross join cluster.state as c
   cross join raft.hard_state as h
   cross join cluster.newest_epoch() as e
   cross join node.leader_heard() as l (leader_id)
   cross join node.failover_verdict as v
   cross join (
     select count(*)::integer, (count(*) filter (where s.voter))::integer, coalesce(bool_or(s.writable), false)
       from node.seen as s) as m (members, voters, writable);
$$;
comment on function pg_replica.cluster() is
  'One row: who leads, who is primary, what a commit needs, and whether a failover could succeed now. Answered from what this node knows, without asking anyone.';
