-- How this node logs in to the control store of a member; null when its worker has not stored the password yet.
create or replace function node.peer_conninfo(p_node integer) returns text
language sql stable set search_path = '', pg_temp as $$
  select case when p_node = i.node_id then node.own_conninfo() else
           format('host=%s port=%s dbname=postgres user=pgreplica_node_%s password=%s connect_timeout=2'
                  ' tcp_user_timeout=2500 application_name=pgreplica_sql options=%s',
             node.conninfo_value(m.control_host), m.control_port, i.node_id,
             node.conninfo_value((select s.value from node.secret as s where s.name = 'peer_password')),
             node.conninfo_value('-c statement_timeout=4s -c default_transaction_read_only=off')) end
    from node.identity as i join cluster.member as m on m.node_id = p_node
   where p_node = i.node_id or exists (select from node.secret as s where s.name = 'peer_password');
$$;
