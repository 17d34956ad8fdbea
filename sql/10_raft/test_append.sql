-- Can this store append?  One row written and deleted: who cannot append must not lead (H66).  In turn with whatever
-- else appends.
create or replace function raft.test_append() returns void
language plpgsql volatile set search_path = '' as $$
begin
  perform set_config('synchronous_commit', 'on', true);
  insert into raft.log (index, term, kind, client, sequence, body, hash)
  select s.last_index + 1, greatest(s.last_term, 1), 'test', gen_random_uuid(), 0, '{}', ''
    from raft.hard_state as s for update;
  delete from raft.log as l using raft.hard_state as s where l.index > s.last_index;
end
$$;
