-- This node's own observation as its peers get it; null before the first.
create or replace function node.own_row() returns jsonb
language plpgsql volatile set search_path = '' as $$
begin
  return (
    select to_jsonb(o) || jsonb_build_object(
             'raft', coalesce(node.counts(), '{}') || jsonb_build_object(
               'term', s.current_term, 'commit', s.commit_index, 'last', s.last_index),
             'reported', (select max(r.epoch) from node.report as r),
             'handed_over', (select max(h.epoch) from node.handed_over as h),
             'progress', (select to_jsonb(p) from node.progress as p where p.node_id = i.node_id),
             'raft_role', case
             when not coalesce(m.voter and raft.has_voice(), false) then 'learner'
             -- A deposed leader finds its own name still: the mark of silence tells it apart.
             when s.leader_id = i.node_id and not raft.is_silent() then 'leader'
             when s.leader_id is not null and not raft.is_silent() then 'follower'
             else 'candidate' end)
      from node.identity as i
      join node.observed as o on o.node_id = i.node_id
      left join cluster.member as m on m.node_id = i.node_id
     cross join raft.hard_state as s);
end
$$;
