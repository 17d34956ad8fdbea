-- A member is reached elsewhere from now on: its own configuration says so.
create or replace function cluster.apply_move(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_node   integer := (p_body ->> 'node_id')::integer;
  v_member cluster.member;
begin
  select * into v_member from cluster.member where node_id = v_node;
  if not found then
    return 'unknown_member';
  elsif v_member.incarnation is distinct from (p_body ->> 'incarnation')::uuid then
    return 'incarnation_differs';
  elsif (v_member.data_port is null) <> (p_body ->> 'data_port' is null) then
    return 'another_kind';
  elsif cluster.address_taken(p_body) is not null then
    return 'address_taken';
  end if;
  update cluster.member
     set control_host = p_body ->> 'control_host', control_port = (p_body ->> 'control_port')::integer,
         data_host = p_body ->> 'data_host', data_port = (p_body ->> 'data_port')::integer
   where node_id = v_node;
  perform cluster.note(p_term, p_body, 'member_moved', v_node,
                       format('%s:%s', v_member.control_host, v_member.control_port),
                       format('%s:%s', p_body ->> 'control_host', p_body ->> 'control_port'),
                       format('node %s (%s) is reached elsewhere', v_node, v_member.name));
  return 'ok';
end
$$;
