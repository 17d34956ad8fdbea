-- Who streams from here, and how far each is.  The end of WAL here is read after the rows, so that no standby seems
-- ahead that is not (H20): inside, FROM comes before the select list, and volatile columns keep the two apart.
create or replace view pg_replica.replication_status as
  select s.application_name, s.client_addr, s.state, s.sync_state,
         pg_wal_lsn_diff(s.cur, s.sent_lsn)   as send_lag_bytes,
         pg_wal_lsn_diff(s.cur, s.write_lsn)  as write_lag_bytes,
         pg_wal_lsn_diff(s.cur, s.flush_lsn)  as flush_lag_bytes,
         pg_wal_lsn_diff(s.cur, s.replay_lsn) as replay_lag_bytes,
         coalesce(s.write_lag,  case when s.write_lsn  >= s.cur then interval '0' end) as write_lag,
         coalesce(s.flush_lag,  case when s.flush_lsn  >= s.cur then interval '0' end) as flush_lag,
         coalesce(s.replay_lag, case when s.replay_lsn >= s.cur then interval '0' end) as replay_lag,
         pgreplica.streaming_member(s.application_name, s.usename, s.slot_name) as node_id,
         s.sync_priority, s.sent_lsn, s.write_lsn, s.flush_lsn, s.replay_lsn, s.slot_name,
         clock_timestamp() - s.reply_time as reply_age,
         s.sync_state in ('sync', 'quorum') as counted,
         s.flush_lsn > s.flushed as diverged
    from (select r.*, l.slot_name,
                 pgreplica.current_lsn() as cur,
                 case when not pg_is_in_recovery() then pg_current_wal_flush_lsn() end as flushed
            from pg_stat_replication as r
            left join pg_replication_slots as l on l.active_pid = r.pid) as s;
comment on view pg_replica.replication_status is
  'Who streams from this server, and how far behind each is: one row per connection. A cascading standby measures from what it has replayed itself.';
comment on column pg_replica.replication_status.application_name is 'The name it gave; a commit waits for names.';
comment on column pg_replica.replication_status.client_addr is 'Where it comes from; null over a local socket.';
comment on column pg_replica.replication_status.state is 'startup, catchup, streaming, backup or stopping. A frozen standby still says streaming: see reply_age.';
comment on column pg_replica.replication_status.sync_state is 'async, potential, sync (FIRST) or quorum (ANY).';
comment on column pg_replica.replication_status.send_lag_bytes is 'WAL not sent to it yet, in bytes.';
comment on column pg_replica.replication_status.write_lag_bytes is 'WAL it has not written yet, in bytes.';
comment on column pg_replica.replication_status.flush_lag_bytes is 'WAL it has not on disk yet, in bytes.';
comment on column pg_replica.replication_status.replay_lag_bytes is 'WAL it has not replayed yet, in bytes.';
comment on column pg_replica.replication_status.write_lag is 'How long recent WAL took until it was written there; 0 when nothing is missing, null when unknown.';
comment on column pg_replica.replication_status.flush_lag is 'The same until it was on disk.';
comment on column pg_replica.replication_status.replay_lag is 'The same until it was replayed.';
comment on column pg_replica.replication_status.node_id is 'The member: name, login and slot are all its own. Null: a stranger, or a second connection under a member''s name.';
comment on column pg_replica.replication_status.sync_priority is 'Its place in synchronous_standby_names; 0: not listed. Under ANY all have 1.';
comment on column pg_replica.replication_status.sent_lsn is 'WAL sent to it.';
comment on column pg_replica.replication_status.write_lsn is 'WAL it has written.';
comment on column pg_replica.replication_status.flush_lsn is 'WAL it has on disk.';
comment on column pg_replica.replication_status.replay_lsn is 'WAL it has replayed.';
comment on column pg_replica.replication_status.slot_name is 'The replication slot it streams from.';
comment on column pg_replica.replication_status.reply_age is 'Since its last answer, by its clock and ours.';
comment on column pg_replica.replication_status.counted is 'Commits count its confirmation: sync_state is sync or quorum.';
comment on column pg_replica.replication_status.diverged is 'It reports more on disk than this primary has: another history. Null on a standby, and for who reports no position.';
