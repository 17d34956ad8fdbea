-- Hand a proposal to the worker of this node, which must lead.  Returns at once.
--
-- Its outcome will stand in cluster.proposal under (p_key, 1), on every node (H60).  A member that has moved tells
-- everyone it reaches: who leads may not reach it before it knows where, nor be reached by it.
create or replace function peer.submit(
  p_cluster uuid, p_from integer, p_incarnation uuid,
  p_key uuid, p_kind text, p_body jsonb
) returns void
language plpgsql volatile security definer set search_path = '' as $$
begin
  perform raft.check_sender(p_cluster, p_from, p_incarnation);
  if pg_column_size(p_body) > 4194304 or octet_length(p_kind) > 63 then
    perform raft.raise_too_much(p_from, format('a proposal of %s bytes, its kind of %s',
      pg_column_size(p_body), octet_length(p_kind)), '4194304 bytes, and 63 of its kind,');
  end if;
  if p_kind = 'move' then
    perform node.hear_move(p_from, p_incarnation, p_body);
    if not exists (select from raft.hard_state as s, node.identity as i where s.leader_id = i.node_id) then
      return;
    end if;
  end if;
  perform raft.check_leads();
  if exists (select from cluster.proposal where client = p_key and sequence = 1) then
    return;
  end if;
  perform raft.put_inbox(p_key, p_kind, p_body);
  perform pg_notify('pg_replica_wake', 'inbox');
end
$$;
