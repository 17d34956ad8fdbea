-- A member asks this node, which must lead, to let another lead.
create or replace function peer.give_lead(
  p_cluster uuid, p_from integer, p_incarnation uuid, p_to integer
) returns integer
language plpgsql volatile security definer set search_path = '' as $$
begin
  perform raft.check_sender(p_cluster, p_from, p_incarnation);
  perform raft.check_leads();
  return node.give_lead(p_to);
end
$$;
