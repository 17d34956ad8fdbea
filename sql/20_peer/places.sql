-- Where members are reached as far as this store knows: by the log, or by their own newer word.
--
-- For one that has moved, and does not reach others that have: what it is told is a place to dial, and proves nothing.
create or replace function peer.places(p_cluster uuid, p_from integer, p_incarnation uuid)
returns table (node_id integer, host text, port integer)
language plpgsql stable security definer set search_path = '' as $$
begin
  perform raft.check_sender(p_cluster, p_from, p_incarnation);
  return query
  select m.node_id, coalesce(h.host, m.control_host), coalesce(h.port, m.control_port)
    from cluster.member as m left join node.heard_place as h on h.node_id = m.node_id
   order by m.node_id;
end
$$;
