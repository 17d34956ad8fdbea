-- Forget the oldest entries, so that at most so many entries and bytes are kept; true when there is more to do.
--
-- Only what is applied here may go: the state holds it (R11).  The lock on raft.hard_state keeps appends and the
-- installation of a snapshot apart from this (H59); a call takes so little that an append behind it does not notice.
create or replace function raft.compact(p_entries bigint, p_bytes bigint) returns boolean
language plpgsql volatile set search_path = '' as $$
declare
  c_most    constant bigint := 2000;
  v_state   raft.hard_state;
  v_through bigint;
begin
  select * into strict v_state from raft.hard_state;
  select greatest(v_state.last_index - p_entries, max(l.index)) into v_through
    from (select k.index, sum(pg_column_size(k.body)) over (order by k.index desc) as bytes
            from raft.log as k) as l
   where l.bytes > p_bytes;
  v_through := least(v_through, v_state.applied_index, v_state.snapshot_index + c_most);
  if v_through <= v_state.snapshot_index then
    return false;
  end if;

  select * into strict v_state from raft.hard_state for update;
  if v_through > v_state.snapshot_index then
    update raft.hard_state
       set snapshot_index = v_through,
           snapshot_term = raft.term_at(v_through), snapshot_hash = raft.hash_at(v_through);
    delete from raft.log where index <= v_through;
  end if;
  return true;
end
$$;
