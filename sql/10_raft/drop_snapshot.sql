-- The snapshot taken here is needed no more: everybody has it, or another will be taken.
create or replace function raft.drop_snapshot(p_id uuid) returns void
language plpgsql volatile set search_path = '' as $$
begin
  delete from raft.snapshot where id = p_id;
  if found then
    delete from raft.snapshot_part;
  end if;
end
$$;
