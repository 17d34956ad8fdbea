-- Whoever asked for a member to come or to go has his answer: a request is done with the step that completes it.
--
-- A newcomer is complete when it votes, if it is to vote, and its data server, if it has one, has streamed and counts
-- for commits, if it may.
create or replace function cluster.close_requests(p_term bigint, p_body jsonb) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_request cluster.request;
begin
  for v_request in
    select r.* from cluster.request as r
     where r.state = 'running'
       and (r.kind = 'remove_node' and not exists (select from cluster.member as m where m.node_id = r.from_node)
            or r.kind = 'add_node' and exists (
              select from cluster.member as m cross join cluster.state as s
               where m.node_id = r.to_node and (m.voter or not m.wants_vote)
                 and (m.data_port is null
                      or m.state = 'attached'
                     and (not m.promotable or not m.sync or s.mode = 'async' or m.node_id = any (s.rule_cohort)))))
     order by r.request_id
  loop
    update cluster.request set state = 'done', finished_at = (p_body ->> 'at')::timestamptz
     where request_id = v_request.request_id;
    perform cluster.note(p_term, p_body, 'request_finished', coalesce(v_request.to_node, v_request.from_node),
                         'running', 'done', v_request.reason,
                         jsonb_build_object('request_id', v_request.request_id));
  end loop;
end
$$;
