-- Refuse a sender that is no member here, unless a member that is ahead of this log has introduced it.
--
-- A log that lags does not know its newest members, and may be led by one of them: refused, it would lag for ever
-- (Raft §6).  An introduced one has a login here (worker/logins.ts); only its own session passes.
-- Who has left is refused in every life until the log readmits it, though its login may outlast it for a moment: the
-- word of others was about the member that it was.
create or replace function raft.check_unknown(p_from integer, p_incarnation uuid, p_me node.identity) returns void
language plpgsql stable set search_path = '' as $$
declare
  v_former cluster.former_member;
begin
  select * into v_former from cluster.former_member where node_id = p_from;
  if found and v_former.incarnation is not distinct from p_incarnation then
    raise exception using errcode = 'RF008',
      message = format('node %s was excluded from cluster %s', p_from, p_me.cluster_name),
      detail = format('It left at %s: %s.', v_former.at, v_former.reason),
      hint = 'What it holds may differ from what the cluster holds now: make it anew, and let it join.';
  elsif found or session_user <> 'pgreplica_node_' || p_from then
    raise exception using errcode = 'RF008',
      message = format('node %s is no member of cluster %s', p_from, p_me.cluster_name);
  end if;
end
$$;
