-- The leader this node heard of within the last three seconds; null while there is none, or while it is silent.
create or replace function node.leader_heard() returns integer
language sql volatile set search_path = '' as $$
  select h.leader_id
    from raft.hard_state as h join node.observed as o on o.node_id = h.leader_id
   where raft.now() - o.observed_at < interval '3 s';
$$;
