-- The leader shares what is seen of every member, and takes home this member's own row.
create or replace function peer.gossip(
  p_cluster uuid, p_from integer, p_incarnation uuid, p_rows jsonb
) returns table (own jsonb)
language plpgsql volatile security definer set search_path = '' as $$
begin
  perform raft.check_sender(p_cluster, p_from, p_incarnation);
  perform node.gossip(p_rows);
  return query select node.own_row();
end
$$;
