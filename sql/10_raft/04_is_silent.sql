-- Is the leader marked as silent?  The mark counts only while nothing was heard since.
create or replace function raft.is_silent() returns boolean
language plpgsql volatile set search_path = '' as $$
begin
  return (
    select exists (select from raft.silence as q
                    where q.boot_id = raft.boot_id() and q.heard = raft.heard_count()));
end
$$;
