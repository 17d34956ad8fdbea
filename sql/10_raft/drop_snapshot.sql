-- The snapshot taken here is needed no more: everybody has it, or another will be taken.
create or replace function raft.drop_snapshot(p_id uuid) returns void
language plpgsql volatile set search_path = '' as $$
begin
  if exists (select from raft.snapshot as s where s.id = p_id) then
    truncate raft.snapshot, raft.snapshot_part;
  end if;
end
$$;
