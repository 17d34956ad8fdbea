-- All the coordinator decides on, in one snapshot.  Its fields: ClusterView in src/db/cluster.ts.
create or replace function cluster.view() returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  return (
    select jsonb_build_object(
      'node_id', i.node_id, 'cluster_id', i.cluster_id,
      'system_identifier', c.system_identifier, 'formed', c.formed, 'paused_why', c.paused_why,
      'mode', c.mode,
      'rule', jsonb_build_object('version', c.rule_version, 'k', c.rule_k,
                                 'cohort', to_jsonb(c.rule_cohort)),
      'next_rule', case when c.next_k is not null then
        jsonb_build_object('k', c.next_k, 'cohort', to_jsonb(c.next_cohort)) end,
      'standby_names', cluster.standby_names(),
      'members', (select jsonb_agg(to_jsonb(m) order by m.node_id) from cluster.member as m),
      'epochs', coalesce((
        select jsonb_agg(to_jsonb(e) order by e.epoch desc)
          from (select * from cluster.epoch order by epoch desc limit 5) as e), '[]'),
      'highest_timeline', (select coalesce(max(h.timeline), 1) from cluster.epoch as h),
      'requests', coalesce((
        select jsonb_agg(to_jsonb(r) order by r.request_id)
          from cluster.request as r
         where r.state in ('waiting', 'running') and r.kind not in ('add_node', 'remove_node')), '[]'),
      -- Nothing is forgotten while a primary is being made.
      'forget', case when (cluster.newest_epoch()).state = 'serving' then cluster.forgettable() end,
      'observed', coalesce((
        select jsonb_agg(to_jsonb(o) order by o.node_id) from node.observed as o), '[]'))
      from node.identity as i, cluster.state as c);
end
$$;
