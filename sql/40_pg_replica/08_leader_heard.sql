-- The leader this node heard of within the last three seconds; null while there is none, or while it is silent.
create or replace function node.leader_heard() returns integer
language sql volatile set search_path = '' as $$
  select h.leader_id
    from raft.hard_state as h join node.seen as s on s.node_id = h.leader_id and s.fresh;
$$;
