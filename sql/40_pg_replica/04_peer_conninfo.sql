-- How this node logs in to the control store of another member.
create or replace function node.peer_conninfo(p_node integer) returns text
language sql stable set search_path = '', pg_temp as $$
  select node.conninfo_to(m.control_host, m.control_port) from cluster.member as m where m.node_id = p_node;
$$;
