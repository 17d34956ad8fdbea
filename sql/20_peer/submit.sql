-- Hand a proposal to the worker of this node, which must lead.  Returns at once.
--
-- Its outcome will stand in cluster.proposal under (p_key, 1), on every node (H60).
create or replace function peer.submit(
  p_cluster uuid, p_from integer, p_incarnation uuid,
  p_key uuid, p_kind text, p_body jsonb
) returns void
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_leader integer;
begin
  perform raft.check_sender(p_cluster, p_from, p_incarnation);
  select s.leader_id into v_leader
    from raft.hard_state as s, node.identity as i where s.leader_id = i.node_id;
  if v_leader is null then
    raise exception using errcode = 'RF001', message = 'this node does not lead',
      detail = format('Current leader: %s.',
                      (select coalesce(leader_id::text, 'none') from raft.hard_state));
  end if;
  if exists (select from cluster.proposal where client = p_key and sequence = 1) then
    return;
  end if;
  insert into raft.inbox (client, sequence, kind, body) values (p_key, 1, p_kind, p_body)
  on conflict do nothing;
  perform pg_notify('pg_replica_wake', 'inbox');
end
$$;
