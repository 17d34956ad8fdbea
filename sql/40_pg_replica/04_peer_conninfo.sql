-- How this node logs in to the control store of another member; null while its worker has not stored the password.
create or replace function node.peer_conninfo(p_node integer) returns text
language sql stable set search_path = '', pg_temp as $$
  select format('host=%s port=%s dbname=postgres user=pgreplica_node_%s password=%s connect_timeout=2'
                ' tcp_user_timeout=2500 application_name=pgreplica_sql options=%s',
           node.conninfo_value(m.control_host), m.control_port, i.node_id, node.conninfo_value(s.value),
           node.conninfo_value('-c statement_timeout=4s -c default_transaction_read_only=off'))
    from cluster.member as m cross join node.identity as i cross join node.secret as s
   where m.node_id = p_node and s.name = 'peer_password';
$$;
