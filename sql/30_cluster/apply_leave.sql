-- A member is on its way out: promoted only where nobody else holds what it holds, and let go of by the commit rule,
-- until `remove` may follow.
create or replace function cluster.apply_leave(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_node   integer := (p_body ->> 'node_id')::integer;
  v_member cluster.member;
begin
  select * into v_member from cluster.member where node_id = v_node;
  if not found then
    return 'unknown_member';
  elsif v_member.voter and not exists (
    select from cluster.member where voter and not leaving and node_id <> v_node) then
    return 'last_voter';
  elsif v_node in (select unnest(array[e.node_id, e.handover_to]) from cluster.newest_epoch() as e) then
    return 'is_primary';
  elsif exists (select from cluster.newest_epoch() as e where e.state = 'opened') then
    return 'not_settled';       -- it may be the one that holds what the next primary must have
  end if;
  update cluster.member set leaving = true where node_id = v_node;
  if not v_member.leaving then
    perform cluster.note(p_term, p_body, 'member_leaving', v_node, v_member.state, 'leaving',
                         format('node %s (%s) is to leave, by order of %s', v_node, v_member.name, p_body ->> 'by'));
  end if;
  update cluster.request set state = 'failed', reason = 'it is to leave', finished_at = (p_body ->> 'at')::timestamptz
   where state = 'running' and kind = 'add_node' and to_node = v_node;
  perform cluster.open_request(p_body, 'remove_node', v_node, null, format('%s leaves', v_member.name));
  return 'ok';
end
$$;
