-- The state is that of this entry now: the log goes on behind it.  Raft §7, receiver 6 and 7.
--
-- What follows the entry here stays, if this log holds the very entry, by its hash (H57); any other log is an abandoned
-- one.
-- The caller holds the lock on raft.hard_state and has put the state in place.
create or replace function raft.begin_log(p_index bigint, p_term bigint, p_hash bytea) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_state raft.hard_state;
  v_holds boolean := coalesce(raft.term_at(p_index) = p_term and raft.hash_at(p_index) = p_hash, false);
begin
  select * into strict v_state from raft.hard_state;
  assert v_holds or v_state.commit_index < p_index,
    format('a snapshot contradicts entry %s, %s is committed', p_index, v_state.commit_index);
  delete from raft.log where index <= p_index or not v_holds;
  update raft.hard_state
     set snapshot_index = p_index, snapshot_term = p_term, snapshot_hash = p_hash,
         applied_index = p_index, commit_index = greatest(commit_index, p_index), alarm = null,
         last_index = case when v_holds then last_index else p_index end,
         last_term = case when v_holds then last_term else p_term end;
  perform raft.learn_commit(p_index);
end
$$;
