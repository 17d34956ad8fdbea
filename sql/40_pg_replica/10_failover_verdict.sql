-- Could the cluster lose its primary now and replace it?  First row that applies; only 900 is ready.
--
-- Without the primary, n - k members of the cohort must report (of both cohorts while the rule changes), and a majority
-- of the voters must be left; in async mode, with k = 0, a majority of the data members reports.
create or replace view node.failover_verdict as
select r.pos, case r.pos when 900 then 'ready' else 'blocked' end as failover, r.why
  from cluster.state as c
 cross join cluster.newest_epoch() as e
 cross join lateral (
   select count(*) filter (where s.voter) / 2 + 1,
          count(*) filter (where s.voter and s.fresh and s.node_id is distinct from e.node_id),
          count(*) filter (where s.can_report and s.promotable and s.node_id is distinct from e.node_id),
          string_agg(format('node %s cannot report (%s)', s.node_id, w.why), '; ' order by s.node_id)
            filter (where not s.can_report and not s.witness and s.node_id is distinct from e.node_id),
          string_agg(s.name, ', ' order by s.node_id) filter (where s.voter and not s.fresh)
     from node.seen as s join node.why as w using (node_id)
 ) as v (majority, voters, candidates, missing, silent)
 cross join lateral (
   select max(q.needed - q.have) as short, max(q.needed) as needed from (
     select case when t.k = 0 and c.mode = 'async' then cardinality(t.cohort) / 2 + 1
                 else cardinality(t.cohort) - t.k end as needed,
            (select count(*) from node.seen as s
              where s.can_report and s.node_id = any (t.cohort) and s.node_id <> e.node_id) as have
       from (values (c.rule_k, c.rule_cohort), (c.next_k, c.next_cohort)) as t (k, cohort)
      where t.cohort is not null) as q
 ) as n
 cross join lateral (
   -- Said once by the leader, while the primary of this epoch is lost.
   select max(v.reason) filter (where e.state = 'serving' and not p.writable) as why
     from node.seen as p
     left join lateral (
       select h.reason from cluster.event as h where h.event = 'failover_held' and h.epoch = e.epoch
        order by h.event_id desc limit 1) as v on true
    where p.node_id = e.node_id
 ) as b
 cross join lateral (
   -- Said by the leader when nobody could be appointed for long.
   select (select h.reason from cluster.event as h
            where e.state = 'opened' and h.event = 'failover_blocked' and h.epoch = e.epoch
            order by h.event_id desc limit 1) as why
 ) as k
 cross join lateral (
   select x.pos, x.why from (values
     (110, e.epoch is null,             'no primary was ever appointed'),
     (120, c.paused_why is not null,    format('paused: %s', c.paused_why)),
     (130, node.leader_heard() is null, coalesce(
             'no leader: nothing is heard of ' || v.silent || '; if too many are gone for good: pg-replica recover',
             'no leader: a majority of the voters does not answer')),
     (135, b.why is not null,           format('held back: %s', b.why)),
     (140, e.state <> 'serving',        format('a failover is under way: epoch %s is %s%s', e.epoch, e.state,
                                          coalesce('; ' || k.why, ''))),
     (150, not c.formed,                coalesce('forming: ' || v.missing, 'forming: not every data member has attached once')),
     (210, n.short > 0,                 coalesce(v.missing, format('standbys that could report are missing: %s', n.short))),
     (220, v.candidates = 0,            'no standby may be promoted'),
     (230, v.voters < v.majority,       format('without node %s the voters left would be %s, needed are %s',
                                          e.node_id, v.voters, v.majority)),
     (900, true,                        format('standbys that can take over: %s, that must report: %s', v.candidates, n.needed))
   ) as x (pos, applies, why) where x.applies order by x.pos limit 1
 ) as r;
