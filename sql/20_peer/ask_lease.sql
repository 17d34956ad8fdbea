-- The primary asks for its lease, with a nonce that carries its epoch; told is the nonce echoed last (H31).
--
-- Makes nothing durable and locks no row (H69). The leader's worker finds the nonce here, and echoes it after a quorum
-- round that began later. Kept only where the leader is, and only for the primary of the newest epoch.
create or replace function peer.ask_lease(
  p_cluster uuid, p_from integer, p_incarnation uuid, p_nonce bigint, p_hurry boolean
) returns table (leader_id integer, echo bigint)
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_leader integer;
  v_kept   boolean;
begin
  perform raft.check_sender(p_cluster, p_from, p_incarnation);
  select s.leader_id,
         s.leader_id = i.node_id and e.node_id = p_from and e.epoch = p_nonce >> 32
    into v_leader, v_kept
    from raft.hard_state as s
   cross join node.identity as i
   cross join cluster.newest_epoch() as e;
  if v_kept then
    perform setval('raft.lease_asked', p_nonce);
    if p_hurry then
      perform pg_notify('pg_replica_wake', 'lease');
    end if;
  end if;
  return query select v_leader, (select case when q.is_called then q.last_value else 0 end from raft.lease_echo as q);
end
$$;
