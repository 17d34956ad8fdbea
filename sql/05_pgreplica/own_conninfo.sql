-- How this server reaches itself in a session of its own, whose transactions see what is committed now, whose limits
-- are not the caller's, and which can be left behind: from PostgreSQL 16 on dblink ignores connect_timeout.
-- The settings read here can only be set at server start, so no session can point elsewhere.
create or replace function pgreplica.own_conninfo(p_role text, p_limit_ms integer) returns text
language sql stable set search_path = '', pg_temp as $$
  select format('host=%s port=%s dbname=%s user=%s connect_timeout=2 application_name=pgreplica_sql options=%s',
           pgreplica.conninfo_value(trim(both ' "' from split_part(current_setting('unix_socket_directories'), ',', 1))),
           current_setting('port'), pgreplica.conninfo_value(current_database()), p_role,
           pgreplica.conninfo_value(format(
             '-c statement_timeout=%s -c lock_timeout=5s -c client_connection_check_interval=1s'
             ' -c default_transaction_isolation=read\ committed -c default_transaction_read_only=off',
             p_limit_ms)));
$$;
comment on function pgreplica.own_conninfo(text, integer) is 'How this server reaches itself in a session of its own.';
