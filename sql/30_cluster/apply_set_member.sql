-- What an operator wants of a member: its priority, whether it may be promoted, whether its confirmations may count,
-- whether others copy their data from it.
create or replace function cluster.apply_set_member(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_node   integer := (p_body ->> 'node_id')::integer;
  v_member cluster.member;
begin
  select * into v_member from cluster.member where node_id = v_node;
  if not found then
    return 'unknown_member';
  elsif v_member.data_port is null
    and ((p_body ->> 'promotable')::boolean or (p_body ->> 'clone_from')::boolean) then
    return 'a_witness';
  end if;
  update cluster.member
     set priority   = coalesce((p_body ->> 'priority')::integer, priority),
         promotable = coalesce((p_body ->> 'promotable')::boolean, promotable),
         sync       = coalesce((p_body ->> 'sync')::boolean, sync),
         clone_from = coalesce((p_body ->> 'clone_from')::boolean, clone_from)
   where node_id = v_node;
  perform cluster.note(p_term, p_body, 'member_set', v_node, null, null,
                       format('node %s (%s) was set by %s', v_node, v_member.name, p_body ->> 'by'),
                       p_body - array['at', 'by', 'node_id']);
  perform cluster.close_requests(p_term, p_body);
  return 'ok';
end
$$;
