-- Must a caller on this node's data server get the answer now, as the session may end at any moment?
--
-- On the primary: once the leader has taken the request up, or 100 ms after it was accepted (it acts after 150, and
-- refuses at once).
-- On a standby: once this node is, or may be, the next primary, whose sessions end before it is promoted.
create or replace function node.must_leave(
  p_request cluster.request, p_target integer, p_server text, p_waited_ms integer
) returns boolean
language sql volatile set search_path = '', pg_temp as $$
  select case when p_server = 'primary' then p_request.state <> 'waiting' or p_waited_ms >= 100
              else p_request.to_node = i.node_id or p_target = i.node_id and p_waited_ms >= 100
                or e.request_id = p_request.request_id and e.state = 'opened'
                or e.handover_request = p_request.request_id and e.handover_to = i.node_id end
    from node.identity as i cross join cluster.newest_epoch() as e;
$$;
