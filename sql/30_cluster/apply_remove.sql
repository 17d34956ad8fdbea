-- A leaving member is a member no more, and refused under this incarnation for ever.  One change of the members (H53).
--
-- Not while a promotion may need its report, or a commit its confirmation (H18).
create or replace function cluster.apply_remove(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_node   integer := (p_body ->> 'node_id')::integer;
  v_member cluster.member;
begin
  select * into v_member from cluster.member where node_id = v_node;
  if not found then
    return 'unknown_member';
  elsif not v_member.leaving then
    return 'not_leaving';
  elsif v_member.voter and not exists (select from cluster.member where voter and node_id <> v_node) then
    return 'last_voter';
  elsif exists (select from cluster.newest_epoch() as e
                 where v_node in (e.node_id, e.handover_to) or e.state = 'opened') then
    return 'not_settled';
  elsif exists (select from cluster.state as s where v_node = any (s.rule_cohort) or v_node = any (s.next_cohort)) then
    return 'counts_for_commits';
  end if;
  delete from cluster.member where node_id = v_node;
  insert into cluster.former_member (node_id, name, incarnation, at, reason)
  values (v_node, v_member.name, v_member.incarnation, (p_body ->> 'at')::timestamptz, 'removed');
  perform cluster.note(p_term, p_body, 'member_removed', v_node, 'leaving', 'removed',
                       format('node %s (%s) is no member any more', v_node, v_member.name),
                       jsonb_build_object('incarnation', v_member.incarnation));
  perform cluster.close_requests(p_term, p_body);
  return 'ok';
end
$$;
