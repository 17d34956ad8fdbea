-- Whether no turn of the gates is under way.  While one is, it looks once more when it has opened its gate
-- (raft.open_gate): who committed something before this look need not wake the worker.
create or replace function raft.turn_is_over() returns boolean
language plpgsql volatile set search_path = '' as $$
declare
  v_gate bigint := (select g.last_value - 1 from raft.gate as g);
begin
  if pg_try_advisory_lock_shared(v_gate) then
    perform pg_advisory_unlock_shared(v_gate);
    return true;
  end if;
  return false;
end
$$;
