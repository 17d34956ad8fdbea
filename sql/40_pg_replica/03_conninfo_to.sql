-- How this node logs in to a control store of its cluster; null while its worker has not stored the password.
create or replace function node.conninfo_to(p_host text, p_port integer) returns text
language sql stable set search_path = '', pg_temp as $$
  select format('host=%s port=%s dbname=postgres user=pgreplica_node_%s password=%s connect_timeout=2'
                ' tcp_user_timeout=2500 application_name=pgreplica_sql options=%s',
           pgreplica.conninfo_value(p_host), p_port, i.node_id, pgreplica.conninfo_value(s.value),
           pgreplica.conninfo_value('-c statement_timeout=4s -c default_transaction_read_only=off'))
         || coalesce((
           select string_agg(format(' %s=%s', w.key, pgreplica.conninfo_value(w.value)), '')
             from node.secret as t cross join jsonb_each_text(t.value::jsonb) as w
            where t.name = 'peer_tls'), '')
    from node.identity as i cross join node.secret as s
   where s.name = 'peer_password';
$$;
