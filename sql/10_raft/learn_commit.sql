-- Raise the commit index and apply what it now covers, in the transaction that learnt of it.
--
-- What users put into the log wakes only who cares for that (`served`), and is applied at once: it may be thousands a
-- second.  Plans are made once, as in raft.store_entries.
-- At most so many at a time: whoever has not applied for long would never come to the end of it within a statement's
-- limit.  The next call goes on, and raft.apply_again.
-- An entry that cannot be applied stops applied_index there and raises an alarm; the log goes on.
create or replace function raft.learn_commit(p_commit bigint) returns void
language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  v_state   raft.hard_state;
  v_through bigint;             -- of what is committed
  v_entry   raft.log;
  v_alarm   text;
  v_ours    boolean := false;   -- something that the node itself goes by
begin
  select * into strict v_state from raft.hard_state;
  if p_commit <= v_state.commit_index and v_state.applied_index = v_state.commit_index then
    return;
  end if;
  v_state.commit_index := greatest(v_state.commit_index, p_commit);
  v_through := least(v_state.commit_index, v_state.applied_index + 1024);
  if v_through > v_state.applied_index + 1
     and raft.apply_entries(v_state.applied_index, v_through) then
    v_state.applied_index := v_through;
  end if;
  for v_entry in
    select * from raft.log as l
     where l.index > v_state.applied_index and l.index <= v_through order by l.index
  loop
    begin
      perform cluster.apply(v_entry.index, v_entry.term, v_entry.kind,
                            v_entry.client, v_entry.sequence, v_entry.body);
    exception when others then
      v_alarm := format('entry %s (%s) cannot be applied: %s', v_entry.index, v_entry.kind, sqlerrm);
      exit;
    end;
    v_state.applied_index := v_entry.index;
    v_ours := v_ours or v_entry.kind not in ('entry', 'kv_set', 'kv_compact', 'kv_reset');
  end loop;
  update raft.hard_state
     set commit_index = v_state.commit_index, applied_index = v_state.applied_index,
         alarm = v_alarm;
  perform pg_notify('pg_replica_wake', case when v_ours then 'applied' else 'served' end);
end
$$;
