-- Ask the control store of this node, over its private socket, as the OS user both servers share.
--
-- Errors come through as they are: SQLSTATE, message, detail and hint.
create or replace function pgreplica.call(p_function text, p_args jsonb default '{}') returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_socket text := pgreplica.setting('pgreplica.control_socket');
  v_port   text := pgreplica.setting('pgreplica.control_port');
begin
  if v_socket is null or v_port is null then
    raise exception using errcode = 'object_not_in_prerequisite_state',
      message = 'this server does not know its control store',
      detail = 'pgreplica.control_socket and pgreplica.control_port stand in no configuration file.',
      hint = 'The worker of this node writes them: has it ever run here?';
  end if;
  return pgreplica.ask(
    format('host=''%s'' port=''%s'' dbname=postgres user=postgres connect_timeout=2'
           ' application_name=pgreplica_sql options=''%s''',
      replace(replace(v_socket, '\', '\\'), '''', '\'''), v_port,
      '-c statement_timeout=0 -c lock_timeout=5s -c client_connection_check_interval=1s'
      ' -c default_transaction_isolation=read\\ committed -c default_transaction_read_only=off'),
    format('select node.call(%L, %L, %L)', p_function, p_args, session_user),
    pgreplica.limit_ms(p_function, p_args));
exception when sqlclient_unable_to_establish_sqlconnection or connection_failure then
  raise exception using errcode = sqlstate,
    message = 'the control store of this node does not answer', detail = sqlerrm,
    hint = format('Is pg-replica running here?  Other nodes answer too; this one: %s',
                  pgreplica.setting('pgreplica.control_uri'));
end
$$;
comment on function pgreplica.call(text, jsonb) is
  'Call a function of pg_replica on the control store of this node.';
