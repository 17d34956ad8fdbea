-- Would this store vote for the candidate in p_term?  Promises nothing and changes nothing.  Raft thesis §9.6.
--
-- A refusal carries the liveness counter, so that the candidate can come back with it (raft.may_vote).
create or replace function peer.pre_vote(
  p_cluster uuid, p_from integer, p_incarnation uuid,
  p_term bigint, p_last_term bigint, p_last_index bigint,
  p_boot_id text, p_heard bigint
) returns table (term bigint, granted boolean, reason text, boot_id text, heard bigint)
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_state  raft.hard_state;
  v_reason text;
begin
  perform raft.check_sender(p_cluster, p_from, p_incarnation);
  select * into strict v_state from raft.hard_state;
  v_reason := case
    when not raft.has_voice()                                                      then 'learner'
    when p_term <= v_state.current_term                                            then 'stale_term'
    when (p_last_term, p_last_index) < (v_state.last_term, v_state.last_index)     then 'log_behind'
    when not raft.may_vote(p_boot_id, p_heard)                                     then 'not_marked'
    else 'granted'
  end;
  return query
  select v_state.current_term, v_reason = 'granted', v_reason, raft.boot_id(), raft.heard_count();
end
$$;
