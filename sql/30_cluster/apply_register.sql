-- A member's incarnation becomes known, and from now on only that one speaks for it (H55).
create or replace function cluster.apply_register(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_node   integer := (p_body ->> 'node_id')::integer;
  v_member cluster.member;
begin
  select * into v_member from cluster.member where node_id = v_node;
  if not found then
    return 'unknown_member';
  end if;
  if v_member.incarnation is distinct from (p_body ->> 'incarnation')::uuid
     and v_member.incarnation is not null then
    return 'incarnation_differs';
  end if;
  update cluster.member
     set incarnation = (p_body ->> 'incarnation')::uuid,
         pg_version = p_body ->> 'pg_version',
         joined_at = coalesce(joined_at, (p_body ->> 'at')::timestamptz),
         state = case when state = 'initial' then 'registered' else state end
   where node_id = v_node;
  if v_member.incarnation is null then
    perform cluster.note(p_term, p_body, 'member_registered', v_node, v_member.state, 'registered',
                         format('node %s (%s) spoke for the first time', v_node, v_member.name));
  end if;
  return 'ok';
end
$$;
