-- This node leads, and asks another voter to campaign at once (Raft thesis 3.10): the one whose log it knows to reach
-- furthest when none is named.  Whom it asked; null when that one does not follow it.
create or replace function node.give_lead(p_to integer) returns integer
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_me node.identity;
  v_to integer;
begin
  select * into strict v_me from node.identity;
  select m.node_id into v_to
    from cluster.member as m
   cross join node.told as t
    left join lateral (
      select (p ->> 'match')::bigint from jsonb_array_elements(t.told -> 'peers') as p
       where (p ->> 'node_id')::integer = m.node_id) as a (match) on true
   where m.voter and m.node_id <> v_me.node_id and m.node_id = coalesce(p_to, m.node_id)
   order by a.match desc nulls last, m.node_id limit 1;
  if not found then
    raise exception using errcode = 'RF006',
      message = format('pgraft: node %s not found among the other voters', coalesce(p_to::text, '(any)'));
  end if;
  return case when pgreplica.ask(node.conninfo_of(v_to), format('select to_jsonb(peer.take_lead(%L, %s, %L, %s))',
                     v_me.cluster_id, v_me.node_id, v_me.incarnation,
                     (select h.current_term from raft.hard_state as h)), 1500)::boolean then v_to end;
end
$$;
