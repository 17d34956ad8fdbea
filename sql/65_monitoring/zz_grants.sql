-- Who may watch: pgreplica_monitor, and nobody else.  PostgreSQL hides other sessions' columns from plain roles, which
-- would look like no lag; pgreplica_monitor is a member of pg_monitor.  A view calls functions as its user.
revoke all on all functions in schema pgreplica from public;
grant select on all tables in schema pg_replica to pgreplica_monitor;
grant execute on function
  pgreplica.current_lsn(), pgreplica.gauges(), pgreplica.replay_paused(),
  pgreplica.streaming_member(text, name, name), pgreplica.wanted_standby_names()
  to pgreplica_monitor;
