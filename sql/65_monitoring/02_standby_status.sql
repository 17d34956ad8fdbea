-- How far this standby is.  Three answers of PostgreSQL mislead: the age of the last replayed transaction grows on an
-- idle cluster, the received position is null or too low after a restart (H08), and it may end inside a record, so
-- that replay never reaches it: then a startup process that waits for more says that all is replayed.
create or replace view pg_replica.standby_status as
  select s.is_standby,
         case when s.is_standby then s.received end as receive_lsn,
         case when s.is_standby then s.replayed end as replay_lsn,
         case when s.is_standby and s.streams then pg_wal_lsn_diff(s.received, s.replayed) end as replay_lag_bytes,
         case when s.is_standby then s.last_replay_time end as last_replay_time,
         case when s.is_standby and s.streams
              then case when s.caught_up then interval '0' else clock_timestamp() - s.last_replay_time end
         end as replication_lag_time,
         case when s.is_standby then s.status end as receiver_status,
         case when s.is_standby then s.received_tli end as received_tli,
         case when s.is_standby then s.sender_host || ':' || s.sender_port end as upstream,
         case when s.is_standby then pgreplica.replay_paused() end as replay_paused,
         case when s.is_standby then s.streams and (s.caught_up or s.last_replay_time is not null) end as lag_known
    from (select p.is_standby, p.replayed, p.last_replay_time, p.status, p.received_tli, p.sender_host, p.sender_port,
                 greatest(p.received, p.replayed) as received,
                 coalesce(p.status = 'streaming', false) as streams,
                 p.replayed >= greatest(p.received, p.replayed)
                   or exists (select from pg_stat_activity as a
                               where a.backend_type = 'startup'
                                 and a.wait_event in ('RecoveryWalStream', 'RecoveryRetrieveRetryInterval'))
                   as caught_up
            from (select pg_is_in_recovery() as is_standby,
                         pg_last_wal_receive_lsn() as received,
                         pg_last_wal_replay_lsn() as replayed,
                         pg_last_xact_replay_timestamp() as last_replay_time,
                         r.status, r.received_tli, r.sender_host, r.sender_port
                    from (values (1)) as one
                    left join pg_stat_wal_receiver as r on true) as p) as s;
comment on view pg_replica.standby_status is
  'One row: how far this standby is. On a primary is_standby is false and the rest null.';
comment on column pg_replica.standby_status.is_standby is 'This server is in recovery.';
comment on column pg_replica.standby_status.receive_lsn is 'WAL known to be here: received or replayed, whichever is more.';
comment on column pg_replica.standby_status.replay_lsn is 'WAL replayed.';
comment on column pg_replica.standby_status.replay_lag_bytes is 'WAL received and not replayed yet, in bytes; a part of a record at the end may stay so. Null when the receiver does not stream.';
comment on column pg_replica.standby_status.last_replay_time is 'When the last transaction replayed here was committed on the primary; old on an idle cluster.';
comment on column pg_replica.standby_status.replication_lag_time is '0 when all that was received is replayed; else at most so much. Null when lag_known is false.';
comment on column pg_replica.standby_status.receiver_status is 'Of the WAL receiver: streaming, starting, waiting, ...; null when there is none.';
comment on column pg_replica.standby_status.received_tli is 'The timeline received last; right at once after a promotion.';
comment on column pg_replica.standby_status.upstream is 'Whom it streams from, host:port.';
comment on column pg_replica.standby_status.replay_paused is 'Replay was paused by pg_wal_replay_pause().';
comment on column pg_replica.standby_status.lag_known is 'The receiver streams, so the lag is known. Without it nobody here can tell how far the primary is.';
