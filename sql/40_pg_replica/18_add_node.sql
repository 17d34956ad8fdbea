-- Make the node at a dsn a member, or the successor of a dead one of its number; its id.
create or replace function node.add_node(p_args jsonb, p_by text) returns integer
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_new     jsonb   := node.ask_present(p_args ->> 'dsn');
  v_id      integer := (v_new ->> 'node_id')::integer;
  v_body    jsonb;
  v_old     cluster.member;
  v_outcome text;
begin
  if v_id <> coalesce((p_args ->> 'node_id')::integer, v_id)
     or v_new ->> 'name' <> coalesce(p_args ->> 'name', v_new ->> 'name') then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('node %s (%s) answers at %s', v_id, v_new ->> 'name', p_args ->> 'dsn'),
      hint = 'node_id and name are those of its node.yaml: leave them out, or name them so.';
  end if;
  v_body := v_new - 'reborn' || jsonb_build_object(
    'key', gen_random_uuid(), 'by', p_by,
    'voter', coalesce((p_args ->> 'voter')::boolean, true),
    'priority', coalesce((p_args ->> 'priority')::integer, 100));
  select * into v_old from cluster.member where node_id = v_id;
  if not found then
    v_outcome := (node.propose((v_body ->> 'key')::uuid, 'add_member', v_body)).outcome;
  elsif v_old.incarnation is not distinct from (v_new ->> 'incarnation')::uuid then
    return v_id;
  elsif exists (select from node.seen as s where s.node_id = v_id and s.fresh) then
    raise exception using errcode = 'RF008',
      message = format('node %s (%s) is a member, and answers', v_id, v_old.name),
      hint = 'Give the new node another id, or stop the old one first.';
  else
    v_outcome := (node.propose((v_body ->> 'key')::uuid, 'readmit',
      v_body || jsonb_build_object('replaces', v_old.incarnation))).outcome;
    -- The leader may have heard it say hello meanwhile, and have let it in itself.
    if v_outcome = 'stale_incarnation' and exists (select from cluster.member as m
         where m.node_id = v_id and m.incarnation = (v_new ->> 'incarnation')::uuid) then
      return v_id;
    end if;
  end if;
  if v_outcome not in ('ok', 'is_member') then
    perform node.raise_refused(format('node %s (%s) cannot join', v_id, v_new ->> 'name'), v_outcome);
  end if;
  return v_id;
end
$$;
