-- A member by name or, failing that, by number; null stays null.
create or replace function node.find_member(p_node text) returns integer
language plpgsql stable set search_path = '', pg_temp as $$
declare
  v_id integer;
begin
  if p_node is null then
    return null;
  end if;
  select m.node_id into v_id from cluster.member as m
   where m.name = p_node or m.node_id::text = p_node
   order by m.name = p_node desc limit 1;
  if not found then
    raise exception using errcode = 'RF006',
      message = format('no member is called %s', p_node),
      detail = coalesce('Members: ' || (
        select string_agg(format('%s (%s)', m.node_id, m.name), ', ' order by m.node_id)
          from cluster.member as m) || '.', 'This node knows no members yet.'),
      hint = 'Name a member by its name or its number; see pg_replica.members().';
  end if;
  return v_id;
end
$$;
