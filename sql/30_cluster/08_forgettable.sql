-- What the leader has the cluster forget next, as the body of the command `forget`; null: nothing is worth it.
--
-- Decided here once and committed, so that every node forgets the same at the same place in the log (R5).
create or replace function cluster.forgettable() returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_state     cluster.state;
  v_entries   bigint := coalesce(cluster.entries_beyond(), 0);
  v_proposals bigint := cluster.surplus(
    (select h.applied_index from raft.hard_state as h) - (select s.proposals_through from cluster.state as s),
    cluster.setting_value('kept_proposals'));
  v_event     bigint := (select min(e.event_id) from cluster.event as e);
  v_events    bigint := cluster.surplus(
    (select max(e.event_id) from cluster.event as e) - v_event + 1, cluster.setting_value('kept_events'));
  v_request   bigint := (select r.request_id from cluster.request as r
                          where r.state not in ('waiting', 'running') order by r.request_id limit 1);
  v_requests  bigint := cluster.surplus(
    (select max(r.request_id) from cluster.request as r) - v_request + 1, cluster.setting_value('kept_requests'));
begin
  if greatest(v_entries, v_proposals, v_events, v_requests) = 0 then
    return null;
  end if;
  select * into strict v_state from cluster.state;
  -- As text: the worker would round a large JSON number.
  return jsonb_build_object(
    'entries',   greatest(v_entries, v_state.entries_through)::text,
    'proposals', (v_state.proposals_through + v_proposals)::text,
    'events',    coalesce(v_event - 1 + v_events, 0)::text,
    'requests',  coalesce(v_request - 1 + v_requests, 0)::text);
end
$$;
