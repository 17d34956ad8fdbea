-- Something this node did by itself; it becomes an event of the cluster once there is a leader.
create or replace function node.note_act(p_event text, p_reason text, p_detail jsonb) returns void
language sql volatile set search_path = '' as $$
  insert into node.act (at, event, reason, detail, since)
  select raft.now(), p_event, p_reason, p_detail, h.applied_index from raft.hard_state as h;
  select pg_notify('pg_replica_wake', 'act');
$$;
