-- Every standby of a primary, and whether commits wait for it.
create or replace view pg_replica.sync_standbys as
  select r.application_name, r.sync_state, r.sync_priority, r.node_id, r.counted, r.flush_lag_bytes
    from pg_replica.replication_status as r
   where not pg_is_in_recovery();
comment on view pg_replica.sync_standbys is
  'On a primary: every connected standby, and whether commits count its confirmation. No rows on a standby.';
comment on column pg_replica.sync_standbys.application_name is 'The name it gave.';
comment on column pg_replica.sync_standbys.sync_state is 'async, potential (waits its turn), sync (FIRST) or quorum (ANY).';
comment on column pg_replica.sync_standbys.sync_priority is 'Its place in synchronous_standby_names; 0: not listed.';
comment on column pg_replica.sync_standbys.node_id is 'The member; null: a stranger.';
comment on column pg_replica.sync_standbys.counted is 'Commits count its confirmation.';
comment on column pg_replica.sync_standbys.flush_lag_bytes is 'WAL it has not on disk yet, in bytes.';
