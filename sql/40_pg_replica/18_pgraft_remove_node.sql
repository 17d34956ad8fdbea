-- Take a member out; one that does not answer too.
create or replace function node.pgraft_remove_node(p_args jsonb, p_by text) returns boolean
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_id integer := (p_args ->> 'node_id')::integer;
begin
  if v_id is null then
    raise exception using errcode = 'null_value_not_allowed', message = 'pgraft: node_id is null';
  elsif not exists (select from cluster.member as m where m.node_id = v_id) then
    raise exception using errcode = 'RF006', message = format('pgraft: node %s not found', v_id);
  end if;
  return node.remove_node(jsonb_build_object('node', v_id::text,
    'force', not (select s.fresh from node.seen as s where s.node_id = v_id)), p_by);
exception
  when sqlstate 'RF008' then
    raise exception using errcode = 'RF008', message = 'pgraft: ' || sqlerrm;
  when sqlstate 'RFP07' then
    raise exception using errcode = 'RFP07', message = 'pgraft: ' || sqlerrm,
      hint = 'It goes on: see pgraft_get_nodes().';
end
$$;
