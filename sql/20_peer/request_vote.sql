-- Grant or refuse one vote.  Raft §5.2, §5.4.1.
--
-- The vote is given by COMMIT, not by RETURN (H51): call this outside any explicit transaction.
-- p_transfer: the leader itself asked for this election, so its silence need not be marked.
create or replace function peer.request_vote(
  p_cluster uuid, p_from integer, p_incarnation uuid,
  p_term bigint, p_last_term bigint, p_last_index bigint,
  p_boot_id text, p_heard bigint, p_transfer boolean
) returns table (term bigint, granted boolean, reason text)
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_state  raft.hard_state;
  v_reason text;
begin
  perform raft.check_sender(p_cluster, p_from, p_incarnation);
  perform set_config('synchronous_commit', 'on', true);
  select * into strict v_state from raft.hard_state for update;

  -- Without a mark we do not even adopt the term: a returning node must not unseat a live leader (H54).
  if p_term > v_state.current_term and raft.has_voice() and (p_transfer or raft.may_vote(p_boot_id, p_heard)) then
    update raft.hard_state set current_term = p_term, voted_for = null, leader_id = null
    returning * into v_state;
  end if;

  v_reason := case
    when not raft.has_voice()                                                   then 'learner'
    when p_term > v_state.current_term                                          then 'not_marked'
    when p_term < v_state.current_term                                          then 'stale_term'
    when coalesce(v_state.voted_for, p_from) <> p_from                          then 'already_voted'
    when v_state.leader_id is not null                                          then 'leader_known'
    when (p_last_term, p_last_index) < (v_state.last_term, v_state.last_index)  then 'log_behind'
    else 'granted'
  end;
  if v_reason = 'granted' and v_state.voted_for is null then
    update raft.hard_state set voted_for = p_from;
  end if;
  return query select v_state.current_term, v_reason = 'granted', v_reason;
end
$$;
