-- A member's data server streamed from the primary for the first time.
create or replace function cluster.apply_attached(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_node integer := (p_body ->> 'node_id')::integer;
begin
  update cluster.member set state = 'attached' where node_id = v_node and state <> 'attached';
  if not found then
    return case when exists (select from cluster.member where node_id = v_node) then 'ok'
                else 'unknown_member' end;
  end if;
  perform cluster.note(p_term, p_body, 'member_attached', v_node, 'registered', 'attached',
                       format('node %s streams from the primary', v_node));
  perform cluster.close_requests(p_term, p_body);
  return 'ok';
end
$$;
