-- A node that is to become a member says who it is and where, to a member that asks in the cluster's name.
create or replace function peer.present(p_cluster uuid, p_from integer, p_incarnation uuid)
returns table (present jsonb)
language plpgsql volatile security definer set search_path = '' as $$
begin
  perform raft.check_sender(p_cluster, p_from, p_incarnation);
  return query
  select to_jsonb(a) - 'singleton' || jsonb_build_object(
           'node_id', i.node_id, 'name', i.name, 'incarnation', i.incarnation, 'reborn', i.reborn)
    from node.identity as i, node.address as a;
end
$$;
