-- How this server reaches the control store of its node: over its private socket, as the OS user both share.
create or replace function pgreplica.control_conninfo() returns text
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_ours   jsonb := pgreplica.settings();
  v_socket text  := v_ours ->> 'pgreplica.control_socket';
  v_port   text  := v_ours ->> 'pgreplica.control_port';
begin
  if v_socket is null or v_port is null then
    raise exception using errcode = 'object_not_in_prerequisite_state',
      message = 'this server does not know its control store',
      detail = 'pgreplica.control_socket and pgreplica.control_port stand in no configuration file.',
      hint = 'The worker of this node writes them: has it ever run here?';
  end if;
  return format('host=%s port=%s dbname=postgres user=pgreplica_caller connect_timeout=2 application_name=pgreplica_sql options=%s',
    pgreplica.conninfo_value(v_socket), pgreplica.conninfo_value(v_port), pgreplica.conninfo_value(
      '-c statement_timeout=0 -c lock_timeout=5s -c client_connection_check_interval=1s'
      ' -c default_transaction_isolation=read\ committed -c default_transaction_read_only=off'));
end
$$;
comment on function pgreplica.control_conninfo() is
  'How this server reaches the control store of its node.';
