-- The term of our entry at an index, the last compacted one included; null before that and beyond the last.
create or replace function raft.term_at(p_index bigint) returns bigint
language plpgsql stable set search_path = '' as $$
begin
  return coalesce(
    (select l.term from raft.log as l where l.index = p_index),
    (select s.snapshot_term from raft.hard_state as s where s.snapshot_index = p_index));
end
$$;
