-- Who is a member, where its store is, and who of them votes, as far as this node has applied; itself only as what it
-- may be.
create or replace function raft.members() returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
             'id', m.node_id, 'incarnation', m.incarnation, 'host', m.control_host, 'port', m.control_port,
             'voter', m.voter and (m.node_id <> i.node_id or raft.has_voice())) order by m.node_id), '[]')
      from cluster.member as m, node.identity as i);
end
$$;
