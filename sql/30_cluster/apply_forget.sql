-- Forget what is older than what is kept, each up to a place that the body names.
--
-- The newest of each stays, since the next one is counted from it, and so does every request that is not finished.
-- A proposal from before what is forgotten is refused from here on (cluster.apply).
create or replace function cluster.apply_forget(p_index bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_entries   bigint := least((p_body ->> 'entries')::bigint,
                              coalesce((select max(e.index) - 1 from cluster.entry as e), 0));
  v_proposals bigint := least((p_body ->> 'proposals')::bigint, p_index - 1);
begin
  delete from cluster.entry as e where e.index <= v_entries;
  delete from cluster.proposal as p where p.log_index <= v_proposals;
  delete from cluster.event as e
   where e.event_id <= (p_body ->> 'events')::bigint and e.event_id < (select max(n.event_id) from cluster.event as n);
  delete from cluster.request as r
   where r.request_id <= (p_body ->> 'requests')::bigint and r.state not in ('waiting', 'running')
     and r.request_id < (select max(n.request_id) from cluster.request as n);
  update cluster.state
     set entries_through = greatest(entries_through, v_entries),
         proposals_through = greatest(proposals_through, v_proposals);
  return 'ok';
end
$$;
