-- The two processes that make a standby.
create or replace view pg_replica.standby_processes as
  select a.* from pg_stat_activity as a
   where a.backend_type in ('walreceiver', 'startup') and pg_is_in_recovery();
comment on view pg_replica.standby_processes is
  'On a standby: the process that receives WAL and the one that replays it, as pg_stat_activity shows them. No rows on a primary.';
comment on column pg_replica.standby_processes.datid is 'Null: they belong to no database.';
comment on column pg_replica.standby_processes.datname is 'Null, likewise.';
comment on column pg_replica.standby_processes.pid is 'Its process.';
comment on column pg_replica.standby_processes.leader_pid is 'Null.';
comment on column pg_replica.standby_processes.usesysid is 'Null: they belong to no role.';
comment on column pg_replica.standby_processes.usename is 'Null, likewise.';
comment on column pg_replica.standby_processes.application_name is 'Empty.';
comment on column pg_replica.standby_processes.client_addr is 'Null.';
comment on column pg_replica.standby_processes.client_hostname is 'Null.';
comment on column pg_replica.standby_processes.client_port is 'Null.';
comment on column pg_replica.standby_processes.backend_start is 'When it was started; a young walreceiver has just connected.';
comment on column pg_replica.standby_processes.xact_start is 'Null.';
comment on column pg_replica.standby_processes.query_start is 'Null.';
comment on column pg_replica.standby_processes.state_change is 'Null.';
comment on column pg_replica.standby_processes.wait_event_type is 'What kind of thing it waits for; null while it works.';
comment on column pg_replica.standby_processes.wait_event is 'RecoveryWalStream: all is replayed. RecoveryConflictSnapshot, RecoveryConflictTablespace or a lock: a query is in the way. RecoveryPause: paused. WalReceiverMain: nothing to receive.';
comment on column pg_replica.standby_processes.state is 'Null.';
comment on column pg_replica.standby_processes.backend_xid is 'Null.';
comment on column pg_replica.standby_processes.backend_xmin is 'Null.';
comment on column pg_replica.standby_processes.query_id is 'Null.';
comment on column pg_replica.standby_processes.query is 'Empty.';
comment on column pg_replica.standby_processes.backend_type is 'walreceiver or startup.';
