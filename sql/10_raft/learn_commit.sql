-- Raise the commit index and apply what it now covers, in the transaction that learnt of it.
--
-- An entry that cannot be applied stops applied_index there and raises an alarm; the log goes on.
create or replace function raft.learn_commit(p_commit bigint) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_state raft.hard_state;
  v_entry raft.log;
begin
  update raft.hard_state set commit_index = greatest(commit_index, p_commit) returning * into v_state;
  if v_state.applied_index = v_state.commit_index then
    return;
  end if;
  for v_entry in
    select * from raft.log as l
     where l.index > v_state.applied_index and l.index <= v_state.commit_index order by l.index
  loop
    begin
      perform cluster.apply(v_entry.index, v_entry.term, v_entry.kind,
                            v_entry.client, v_entry.sequence, v_entry.body);
    exception when others then
      update raft.hard_state
         set alarm = format('entry %s (%s) cannot be applied: %s',
                            v_entry.index, v_entry.kind, sqlerrm);
      exit;
    end;
    v_state.applied_index := v_entry.index;
  end loop;
  update raft.hard_state
     set applied_index = v_state.applied_index,
         alarm = case when v_state.applied_index = commit_index then null else alarm end;
  perform pg_notify('pg_replica_wake', 'applied');
end
$$;
