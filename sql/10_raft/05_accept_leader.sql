-- Whoever sends entries or a snapshot in a term that is not over leads it: adopt the term, know the leader, hear it.
--
-- The caller holds the lock on raft.hard_state and has refused earlier terms.
create or replace function raft.accept_leader(p_term bigint, p_from integer) returns raft.hard_state
language plpgsql volatile set search_path = '' as $$
declare
  v_state raft.hard_state;
begin
  select * into strict v_state from raft.hard_state;
  if p_term > v_state.current_term or v_state.leader_id is null then
    update raft.hard_state
       set voted_for = case when p_term > current_term then null else voted_for end,
           current_term = p_term, leader_id = p_from
    returning * into v_state;
    perform pg_notify('pg_replica_wake', 'leader');
  end if;
  assert v_state.leader_id = p_from, format('nodes %s and %s both lead term %s',
                                            v_state.leader_id, p_from, p_term);
  perform nextval('raft.heard');
  return v_state;
end
$$;
