-- The replication lag in the words of a dashboard, and where it comes from.
create or replace view pg_replica.lag as
  select r.application_name,
         round(r.replay_lag_bytes / 1024 / 1024, 1) as lag_mb,
         r.replay_lag, r.node_id,
         case when r.replay_lag_bytes is null then null
              when r.replay_lag_bytes <= 0 then 'none'
              when p.most = p.send then 'send'
              when p.most = p.write then 'write'
              when p.most = p.flush then 'flush'
              else 'replay' end as stage,
         (g.gauges -> 'growth' ->> r.application_name)::numeric as growth_bytes_per_s
    from pg_replica.replication_status as r
   cross join (select pgreplica.gauges() as gauges) as g
   cross join lateral (select greatest(s.send, s.write, s.flush, s.replay) as most, s.*
                         from (select r.send_lag_bytes as send,
                                      r.write_lag_bytes - r.send_lag_bytes as write,
                                      r.flush_lag_bytes - r.write_lag_bytes as flush,
                                      r.replay_lag_bytes - r.flush_lag_bytes as replay) as s) as p
   where not pg_is_in_recovery();
comment on view pg_replica.lag is
  'On a primary: how far each standby is behind, and which part of the way most of it waits for. No rows on a standby.';
comment on column pg_replica.lag.application_name is 'The name the standby gave.';
comment on column pg_replica.lag.lag_mb is 'WAL it has not replayed yet, in megabytes (MiB), to one decimal.';
comment on column pg_replica.lag.replay_lag is 'How long recent WAL took until it was replayed there; 0 when nothing is missing, null when unknown.';
comment on column pg_replica.lag.node_id is 'The member; null: a stranger.';
comment on column pg_replica.lag.stage is 'Where most of the lag is: none, send (network), write or flush (disk of the standby), replay (its CPU, or a conflict); null when unknown.';
comment on column pg_replica.lag.growth_bytes_per_s is 'How fast the lag grew in the last minute, bytes per second, negative when it shrank; null while this node''s worker has not measured it.';
