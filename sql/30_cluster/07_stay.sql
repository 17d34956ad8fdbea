-- Who was to leave is the only one that holds what the next primary must have: appointed it stays, and whoever asked it
-- to leave is told.
create or replace function cluster.stay(p_term bigint, p_body jsonb, p_node integer) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_member cluster.member;
  v_reason text;
begin
  update cluster.member set leaving = false where node_id = p_node and leaving returning * into v_member;
  if not found then
    return;
  end if;
  v_reason := format('%s became primary instead of leaving: nobody else held what it holds', v_member.name);
  update cluster.request
     set state = 'failed', sqlstate = 'RF010', reason = v_reason, finished_at = (p_body ->> 'at')::timestamptz,
         hint = format('Once another streams from it: select pg_replica.remove_node(%L);', v_member.name)
   where state = 'running' and kind = 'remove_node' and from_node = p_node;
  perform cluster.note(p_term, p_body, 'member_stays', p_node, 'leaving', v_member.state, v_reason);
end
$$;
