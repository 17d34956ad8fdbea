-- Write a leader's entries behind a position that already matches.  Raft §5.3, receiver 3 and 4.
--
-- Entries we hold already are left alone, those that were compacted too; the first that differs is cut off with all
-- behind it.  The caller holds the lock on raft.hard_state and has compared the previous entry.
--
-- Plans are made once: a new one for each place in the log, which looks cheaper, costs more than all the rest.
create or replace function raft.store_entries(p_entries jsonb) returns void
language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  v_state raft.hard_state;
  v_first bigint;
begin
  select * into strict v_state from raft.hard_state;
  v_first := (p_entries #>> '{0,i}')::bigint;
  -- Mostly they go on where the log ends.
  if v_first is distinct from v_state.last_index + 1 then
    -- One look into the index for each: a join would read the whole log for a single entry.
    select min(e.i) into v_first
      from jsonb_to_recordset(p_entries) as e (i bigint, t bigint)
     where e.i > v_state.snapshot_index
       and (select l.term from raft.log as l where l.index = e.i) is distinct from e.t;
    if v_first is null then
      return;
    end if;

    assert v_first > v_state.commit_index,
      format('a leader would cut entry %s, %s is committed', v_first, v_state.commit_index);
    delete from raft.log where index >= v_first;
  end if;

  insert into raft.log select c.* from raft.chained(p_entries, v_first) as c;
  update raft.hard_state
     set (last_index, last_term) = (select l.index, l.term from raft.log as l order by l.index desc limit 1);
end
$$;
