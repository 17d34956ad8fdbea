-- What the committed state asks of this node, in one snapshot.  Its fields: AgentView in src/db/node.ts.
create or replace function node.agent_view() returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  return (
    select jsonb_build_object(
      'node_id', i.node_id, 'cluster_id', i.cluster_id, 'incarnation', i.incarnation,
      'term', s.current_term, 'leader_id', s.leader_id,
      'system_identifier', c.system_identifier, 'formed', c.formed,
      'paused', c.paused_why is not null,
      'pledge', p.epoch, 'followed', f.epoch,
      'epoch', coalesce(e.epoch, 0), 'epoch_state', coalesce(e.state, 'none'),
      'primary_id', e.node_id, 'old_primary', e.old_primary,
      'goal', case when w.left_as is not null then 'removed'
                   when raft.is_admitted() then coalesce(g.goal, 'none') else 'none' end,
      'goal_why', coalesce('this node has left the cluster: ' || w.left_as, g.why, 'this node is no member yet'),
      'timeline', e.timeline, 'from_lsn', e.from_lsn, 'switch_lsn', e.switch_lsn,
      'stamp_lsn', e.stamp_lsn, 'handover_to', e.handover_to,
      'old_fenced', coalesce(e.old_fenced, false),
      'highest_timeline', (select coalesce(max(h.timeline), 1) from cluster.epoch as h),
      'mode', c.mode,
      'rule_version', c.rule_version + (c.next_k is not null)::int,
      'rule_k', coalesce(c.next_k, c.rule_k),
      'rule_cohort', to_jsonb(coalesce(c.next_cohort, c.rule_cohort)),
      'standby_names', cluster.standby_names(),
      'members', (
        select coalesce(jsonb_agg(jsonb_build_object(
                 'node_id', m.node_id, 'name', m.name, 'incarnation', m.incarnation,
                 'data_host', m.data_host, 'data_port', m.data_port,
                 'clone_from', m.clone_from and not m.leaving) order by m.node_id), '[]')
          from cluster.member as m),
      'history', coalesce((
        select jsonb_agg(jsonb_build_object(
                 'epoch', h.epoch, 'node_id', h.node_id, 'timeline', h.timeline,
                 'switch_lsn', coalesce(h.switch_lsn, h.from_lsn, '0/0'),
                 'from_epoch', coalesce(h.from_epoch, 0)) order by h.epoch)
          from cluster.epoch as h where h.node_id is not null), '[]'),
      'reported', exists (select from node.report as r where r.epoch = e.epoch and p.epoch = e.epoch),
      'handed_over', exists (select from node.handed_over as o where o.epoch = e.epoch))
      from node.identity as i
      left join cluster.goal as g on g.node_id = i.node_id
      left join lateral (
        select f.reason as left_as from cluster.former_member as f
         where f.node_id = i.node_id and f.incarnation = i.incarnation) as w on true
     cross join raft.hard_state as s
     cross join cluster.state as c
     cross join node.pledge as p
     cross join node.followed as f
      left join lateral (select * from cluster.epoch order by epoch desc limit 1) as e on true);
end
$$;
