-- The leader as this node may claim it; 0 while none is known.
--
-- Of itself a node says so only while the last round that a majority confirmed is younger than the election timeout; of
-- another, while its last word is younger than two.  A worker that is frozen or gone ages both.
create or replace function node.pgraft_leader() returns integer
language sql stable set search_path = '', pg_temp as $$
  select coalesce((
    select h.leader_id
      from raft.hard_state as h cross join node.identity as i cross join node.told as t
     where case when h.leader_id = i.node_id then t.round_ms < t.election_ms
                else t.quiet_ms < 2 * t.election_ms end
       and not raft.is_silent()), 0);
$$;
