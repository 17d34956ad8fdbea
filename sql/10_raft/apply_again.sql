-- Try once more to apply what is committed: in a quiet cluster no entry comes that would, though there is room again,
-- or more than is applied at a time.  True: there is more to apply.
create or replace function raft.apply_again() returns boolean
language plpgsql volatile set search_path = '' as $$
declare
  v_state raft.hard_state;
begin
  perform from raft.hard_state for update;
  perform raft.learn_commit(0);
  select * into strict v_state from raft.hard_state;
  return v_state.applied_index < v_state.commit_index and v_state.alarm is null;
end
$$;
