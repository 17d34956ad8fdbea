-- How a caller's session hands something in (node.hand_in): over the private socket, as the role that can only do that.
create or replace function node.service_conninfo() returns text
language sql stable set search_path = '', pg_temp as $$
  select format('host=%s port=%s dbname=%s user=pgreplica_service connect_timeout=2 application_name=pgreplica_sql'
                ' options=%s',
           pgreplica.conninfo_value(trim(both ' "' from split_part(current_setting('unix_socket_directories'), ',', 1))),
           current_setting('port'), pgreplica.conninfo_value(current_database()),
           pgreplica.conninfo_value('-c statement_timeout=2s -c lock_timeout=1s -c client_connection_check_interval=1s'
                               ' -c synchronous_commit=off'));
$$;
