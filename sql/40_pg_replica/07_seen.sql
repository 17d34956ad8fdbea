-- What may be said of each member now.  Older than three seconds is not news: the member shows as unreachable.
create or replace view node.seen as
select m.node_id, m.name, m.data_port is null as witness, m.voter, m.promotable,
       f.fresh, round(f.age_s)::bigint as age_s, o.observed_at,
       case when not f.fresh                         then 'unknown'
            when m.node_id = h.leader_id             then 'leader'
            when not m.voter                         then 'learner'
            when h.leader_id is not null             then 'follower'
            when m.node_id = i.node_id               then 'candidate'
            else o.raft_role end                                       as raft_role,
       case when f.fresh then o.role else 'none' end                   as role,
       case when f.fresh then o.state else 'unreachable' end           as state,
       f.fresh and o.writable and o.role = 'primary' and e.state not in ('opened', 'superseded')
         and e.node_id = m.node_id and e.epoch = o.epoch               as writable,
       o.epoch, o.timeline, o.wal_lsn, o.replay_lsn, o.attached, o.sync_state,
       f.fresh and o.gone as gone, f.fresh and o.hung as hung,
       case when f.fresh then o.lag_bytes end                          as lag_bytes,
       case when f.fresh then o.lag_ms end                             as lag_ms,
       case when f.fresh then o.problem end                            as problem,
       f.fresh and m.state = 'attached' and m.data_port is not null and not o.gone and not o.hung
         and o.role = 'standby' and o.state in ('running', 'streaming', 'catching_up') as can_report
  from cluster.member as m
 cross join raft.hard_state as h
 cross join node.identity as i
 cross join cluster.newest_epoch() as e
  left join node.observed as o on o.node_id = m.node_id
 cross join lateral (
   select coalesce(raft.now() - o.observed_at < interval '3 s', false),
          extract(epoch from raft.now() - o.observed_at)) as f (fresh, age_s);
