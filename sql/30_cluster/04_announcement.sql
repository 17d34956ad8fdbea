-- How an event is announced: its channel, and a payload that is a hint; events() is the truth (H65).
create or replace function cluster.announcement(
  p_event cluster.event, out channel text, out payload text
)
language sql stable set search_path = '' as $$
  select case when p_event.event in ('leader_elected', 'epoch_opened', 'primary_appointed', 'primary_serving')
              then 'pg_replica_leader' else 'pg_replica_event' end,
         jsonb_build_object(
           'event', p_event.event, 'event_id', p_event.event_id, 'epoch', p_event.epoch,
           'term', p_event.term, 'leader', s.leader_id, 'primary', e.node_id,
           'timeline', e.timeline, 'why', left(p_event.reason, 1000))::text
    from raft.hard_state as s
    left join lateral (select * from cluster.epoch order by epoch desc limit 1) as e on true;
$$;
