-- May this store vote against the leader it last heard?
--
-- Yes when its own worker marked the silence, or when the candidate itself read this very
-- (boot id, counter) at least an election timeout ago, so that a voter without a worker can vote.
create or replace function raft.may_vote(p_boot_id text, p_heard bigint) returns boolean
language plpgsql volatile set search_path = '' as $$
begin
  return (
    select exists (select from raft.silence as q
                    where q.boot_id = b.boot_id and q.heard = b.heard)
        or coalesce(p_boot_id = b.boot_id and p_heard = b.heard, false)
      from (select raft.boot_id(), raft.heard_count()) as b (boot_id, heard));
end
$$;
