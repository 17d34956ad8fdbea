-- The leader this node heard of within the last three seconds; null while there is none, or while it is silent.
--
-- A deposed leader still finds its own name in the hard state, and its own row is always fresh: the mark of
-- silence, set when no leader was heard for an election timeout, tells it apart.
create or replace function node.leader_heard() returns integer
language sql stable set search_path = '', pg_temp as $$
  select h.leader_id
    from raft.hard_state as h join node.observed as o on o.node_id = h.leader_id
   where raft.now() - o.observed_at < interval '3 s'
     and not raft.is_silent();
$$;
