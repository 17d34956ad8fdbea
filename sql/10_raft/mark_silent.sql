-- Record that the leader is silent: nothing was heard since the worker read this counter.
--
-- The mark counts only while boot id and counter are unchanged; the worker's monotonic clock, never
-- this server's, measured how long that was.
create or replace function raft.mark_silent(p_boot_id text, p_heard bigint) returns boolean
language plpgsql volatile set search_path = '' as $$
begin
  if p_boot_id <> raft.boot_id() or p_heard <> raft.heard_count() then
    return false;
  end if;
  insert into raft.silence (boot_id, heard) values (p_boot_id, p_heard)
  on conflict (singleton) do update set boot_id = excluded.boot_id, heard = excluded.heard;
  return true;
end
$$;
