-- Queries of this standby that replay has ended, counted by reason.
create or replace view pg_replica.recovery_conflicts as
  select c.datname, c.confl_tablespace, c.confl_lock, c.confl_snapshot, c.confl_bufferpin, c.confl_deadlock,
         (to_jsonb(c) ->> 'confl_active_logicalslot')::bigint as confl_active_logicalslot,
         d.stats_reset
    from pg_stat_database_conflicts as c
    join pg_stat_database as d on d.datid = c.datid
   where pg_is_in_recovery();
comment on view pg_replica.recovery_conflicts is
  'On a standby: queries that replay has ended, by database and reason. No rows on a primary.';
comment on column pg_replica.recovery_conflicts.datname is 'The database.';
comment on column pg_replica.recovery_conflicts.confl_tablespace is 'Ended as their tablespace was dropped.';
comment on column pg_replica.recovery_conflicts.confl_lock is 'Ended as the primary took a lock against them.';
comment on column pg_replica.recovery_conflicts.confl_snapshot is 'Ended as vacuum removed rows they could still see; hot_standby_feedback prevents it.';
comment on column pg_replica.recovery_conflicts.confl_bufferpin is 'Ended as they held a page that replay had to clean.';
comment on column pg_replica.recovery_conflicts.confl_deadlock is 'Ended to resolve a deadlock with replay.';
comment on column pg_replica.recovery_conflicts.confl_active_logicalslot is 'Logical decoding ended as its slot was invalidated; null before PostgreSQL 16.';
comment on column pg_replica.recovery_conflicts.stats_reset is 'Counted since; null: since ever.';
