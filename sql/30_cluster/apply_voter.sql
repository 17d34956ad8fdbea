-- A learner that has caught up with the log votes from now on.
create or replace function cluster.apply_voter(p_term bigint, p_body jsonb) returns text
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
  elsif v_member.voter then
    return 'votes_already';
  elsif v_member.leaving or not v_member.wants_vote then
    return 'is_to_learn';
  end if;
  update cluster.member set voter = true where node_id = v_node;
  perform cluster.note(p_term, p_body, 'member_votes', v_node, 'learner', 'voter',
                       format('node %s (%s) has caught up with the log', v_node, v_member.name));
  perform cluster.close_requests(p_term, p_body);
  return 'ok';
end
$$;
