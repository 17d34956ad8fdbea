-- A newcomer becomes a member: a learner, which votes once it has caught up (`voter`).  A change of the members (H53).
create or replace function cluster.apply_add_member(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_node integer := (p_body ->> 'node_id')::integer;
  v_life uuid    := (p_body ->> 'incarnation')::uuid;
begin
  if exists (select from cluster.member where node_id = v_node) then
    return 'is_member';
  elsif exists (select from cluster.member where name = p_body ->> 'name') then
    return 'name_taken';
  elsif cluster.address_taken(p_body) is not null then
    return 'address_taken';
  elsif (select count(*) from cluster.member) >= 16 then
    return 'too_many';
  elsif exists (select from cluster.former_member where node_id = v_node and incarnation = v_life)
     or exists (select from cluster.former_incarnation where node_id = v_node and incarnation = v_life) then
    return 'used_incarnation';
  end if;
  insert into cluster.former_incarnation (node_id, incarnation)
  select f.node_id, f.incarnation from cluster.former_member as f
   where f.node_id = v_node and f.incarnation is not null;
  delete from cluster.former_member where node_id = v_node;
  insert into cluster.member (node_id, name, incarnation, control_host, control_port, data_host, data_port,
                              voter, wants_vote, promotable, priority, state, joined_at)
  values (v_node, p_body ->> 'name', v_life, p_body ->> 'control_host', (p_body ->> 'control_port')::integer,
          p_body ->> 'data_host', (p_body ->> 'data_port')::integer, false, (p_body ->> 'voter')::boolean,
          p_body ->> 'data_port' is not null, (p_body ->> 'priority')::integer, 'registered',
          (p_body ->> 'at')::timestamptz);
  perform cluster.note(p_term, p_body, 'member_added', v_node, null, 'learner',
                       format('node %s (%s) joins, by order of %s', v_node, p_body ->> 'name', p_body ->> 'by'),
                       jsonb_build_object('incarnation', v_life));
  perform cluster.open_request(p_body, 'add_node', null, v_node, format('%s joins', p_body ->> 'name'));
  return 'ok';
end
$$;
