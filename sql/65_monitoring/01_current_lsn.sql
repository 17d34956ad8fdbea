-- How far this server is: what it has replayed in recovery, what it has written otherwise.  Each of PostgreSQL's own
-- functions is of no use on the other kind of server: one fails there, the other stands still.
create or replace function pgreplica.current_lsn() returns pg_lsn
language sql volatile set search_path = '', pg_temp as $$
  select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end;
$$;
comment on function pgreplica.current_lsn() is
  'The end of WAL here: replayed on a standby, written on a primary.';
