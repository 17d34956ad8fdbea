-- A member whose control store was made anew is heard again, as a learner: it has forgotten its votes (H56).
-- Made anew elsewhere, it says where: so a dead node is replaced by another under its number.
create or replace function cluster.apply_readmit(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_node   integer := (p_body ->> 'node_id')::integer;
  v_new    uuid    := (p_body ->> 'incarnation')::uuid;
  v_member cluster.member;
begin
  select * into v_member from cluster.member where node_id = v_node;
  if not found then
    return 'unknown_member';
  elsif v_member.incarnation is distinct from (p_body ->> 'replaces')::uuid then
    return 'stale_incarnation';
  elsif v_member.incarnation is null then
    return 'never_registered';
  elsif v_new = v_member.incarnation or exists (
    select from cluster.former_incarnation where node_id = v_node and incarnation = v_new) then
    return 'used_incarnation';
  elsif not exists (select from cluster.member where voter and node_id <> v_node) then
    return 'last_voter';
  elsif cluster.address_taken(p_body) is not null then
    return 'address_taken';
  elsif p_body ? 'control_port' and (v_member.data_port is null) <> (p_body ->> 'data_port' is null) then
    return 'another_kind';
  end if;
  insert into cluster.former_incarnation (node_id, incarnation) values (v_node, v_member.incarnation);
  update cluster.member
     set incarnation = v_new, voter = false,
         control_host = coalesce(p_body ->> 'control_host', control_host),
         control_port = coalesce((p_body ->> 'control_port')::integer, control_port),
         data_host = coalesce(p_body ->> 'data_host', data_host),
         data_port = coalesce((p_body ->> 'data_port')::integer, data_port)
   where node_id = v_node;
  perform cluster.note(p_term, p_body, 'member_readmitted', v_node,
                       case when v_member.voter then 'voter' else 'learner' end, 'learner',
                       format('the control store of node %s (%s) was made anew', v_node, v_member.name),
                       jsonb_build_object('incarnation', v_new, 'replaces', v_member.incarnation));
  if p_body ? 'key' then
    perform cluster.open_request(p_body, 'add_node', null, v_node, format('%s is replaced', v_member.name));
  end if;
  return 'ok';
end
$$;
