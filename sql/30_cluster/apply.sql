-- Apply one committed entry and remember its outcome: `ok`, or why it was refused.
--
-- A pure function of the entry and the replicated state: no clock, no chance, no settings (H62).
-- A proposal that was retried is applied once (H60): where it may have been forgotten since it was first made (`since`:
-- what its maker had applied then), it is refused, as nobody can tell any more.
create or replace function cluster.apply(
  p_index bigint, p_term bigint, p_kind text, p_client uuid, p_sequence bigint, p_body jsonb
) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_outcome text;
begin
  if exists (select from cluster.proposal where client = p_client and sequence = p_sequence) then
    return;
  end if;
  v_outcome := case
    when (p_body ->> 'since')::bigint < (select s.proposals_through from cluster.state as s) then 'too_late'
    else case p_kind
    when 'noop'          then cluster.apply_noop(p_term, p_body)
    when 'register'      then cluster.apply_register(p_term, p_body)
    when 'readmit'       then cluster.apply_readmit(p_term, p_body)
    when 'voter'         then cluster.apply_voter(p_term, p_body)
    when 'add_member'    then cluster.apply_add_member(p_term, p_body)
    when 'leave'         then cluster.apply_leave(p_term, p_body)
    when 'remove'        then cluster.apply_remove(p_term, p_body)
    when 'move'          then cluster.apply_move(p_term, p_body)
    when 'set_member'    then cluster.apply_set_member(p_term, p_body)
    when 'found'         then cluster.apply_found(p_term, p_body)
    when 'open_epoch'    then cluster.apply_open_epoch(p_term, p_body)
    when 'appoint'       then cluster.apply_appoint(p_term, p_body)
    when 'promoted'      then cluster.apply_promoted(p_term, p_body)
    when 'serving'       then cluster.apply_serving(p_term, p_body)
    when 'hand_over'     then cluster.apply_hand_over(p_term, p_body)
    when 'keep_primary'  then cluster.apply_keep_primary(p_term, p_body)
    when 'attached'      then cluster.apply_attached(p_term, p_body)
    when 'rule_next'     then cluster.apply_rule_next(p_term, p_body)
    when 'rule_back'     then cluster.apply_rule_back(p_term, p_body)
    when 'rule'          then cluster.apply_rule(p_term, p_body)
    when 'formed'        then cluster.apply_formed(p_term, p_body)
    when 'pause'         then cluster.apply_pause(p_term, p_body)
    when 'resume'        then cluster.apply_resume(p_term, p_body)
    when 'request'       then cluster.apply_request(p_term, p_body)
    when 'request_state' then cluster.apply_request_state(p_term, p_body)
    when 'cancel'        then cluster.apply_cancel(p_term, p_body)
    when 'recover'       then cluster.apply_recover(p_term, p_body)
    when 'event'         then cluster.apply_event(p_term, p_body)
    when 'entry'         then cluster.apply_entry(p_index, p_term, p_body)
    when 'kv_set'        then cluster.apply_kv_set(p_index, p_body)
    when 'kv_compact'    then cluster.apply_kv_compact(p_index, p_body)
    when 'kv_reset'      then cluster.apply_kv_reset(p_index, p_body)
    when 'set'           then cluster.apply_set(p_term, p_body)
    when 'forget'        then cluster.apply_forget(p_index, p_body)
  end end;
  if v_outcome is null then
    raise exception using errcode = 'RF015',
      message = format('command %s is unknown to this version', p_kind);
  end if;
  insert into cluster.proposal (client, sequence, log_index, outcome)
  values (p_client, p_sequence, p_index, v_outcome);
end
$$;
