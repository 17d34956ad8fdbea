-- The leader is alive.  Makes nothing durable and locks no row (H69): it moves an unlogged counter.
--
-- `unknown_leader`: this store has not accepted an append of that term yet; send one.
-- It comes ten times a second: a sender that is in order is known by one query, and check_leader refuses the others.
create or replace function peer.heartbeat(
  p_cluster uuid, p_from integer, p_incarnation uuid, p_term bigint
) returns table (term bigint, success boolean, reason text)
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_state raft.hard_state;
begin
  select s.* into v_state
    from raft.hard_state as s, node.identity as i, cluster.member as m
   where i.cluster_id = p_cluster
     and m.node_id = p_from and m.incarnation = p_incarnation
     and session_user = 'pgreplica_node_' || p_from;
  if not found then
    perform raft.check_leader(p_cluster, p_from, p_incarnation);
    select * into strict v_state from raft.hard_state;
  end if;

  if p_term < v_state.current_term then
    return query select v_state.current_term, false, 'stale_term';
  elsif p_term > v_state.current_term or v_state.leader_id is distinct from p_from then
    return query select v_state.current_term, false, 'unknown_leader';
  else
    perform nextval('raft.heard');
    return query select v_state.current_term, true, 'heard';
  end if;
end
$$;
