-- Something this node did by itself; it becomes an event of the cluster once there is a leader.
create or replace function node.note_act(p_event text, p_reason text, p_detail jsonb) returns void
language sql volatile set search_path = '' as $$
  insert into node.act (at, event, reason, detail)
  values (raft.now(), p_event, p_reason, p_detail);
  select pg_notify('pg_replica_wake', 'act');
$$;
