-- One part of the snapshot taken here; null when it is not there any more.
create or replace function raft.snapshot_part(p_id uuid, p_part integer) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  return (
    select p.rows from raft.snapshot as s cross join raft.snapshot_part as p
     where s.id = p_id and p.part = p_part);
end
$$;
