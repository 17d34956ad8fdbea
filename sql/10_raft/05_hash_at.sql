-- The hash that covers our log up to an index (H57), the last compacted entry included; null beyond that.
create or replace function raft.hash_at(p_index bigint) returns bytea
language plpgsql stable set search_path = '' as $$
begin
  return coalesce(
    (select l.hash from raft.log as l where l.index = p_index),
    (select s.snapshot_hash from raft.hard_state as s where s.snapshot_index = p_index));
end
$$;
