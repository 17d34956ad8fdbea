-- What the worker looks at on every tick.  Reads only; takes no lock.
create or replace function raft.sample() returns table (
  boot_id text, heard bigint, term bigint, voted_for integer, leader_id integer,
  last_index bigint, last_term bigint, commit_index bigint, applied_index bigint,
  silent boolean, alarm text, transfer_term bigint,
  epoch bigint, primary_id integer, lease_asked bigint, members jsonb
)
language plpgsql volatile set search_path = '' as $$
begin
  return query
  select b.boot_id, b.heard, s.current_term, s.voted_for, s.leader_id,
         s.last_index, s.last_term, s.commit_index, s.applied_index,
         exists (select from raft.silence as q
                  where q.boot_id = b.boot_id and q.heard = b.heard),
         s.alarm,
         (select t.term from raft.transfer as t),
         coalesce(e.epoch, 0), e.node_id,
         (select case when q.is_called then q.last_value else 0 end from raft.lease_asked as q),
         raft.members()
    from raft.hard_state as s, (select raft.boot_id(), raft.heard_count()) as b (boot_id, heard)
    left join lateral (select n.epoch, n.node_id from cluster.epoch as n order by n.epoch desc limit 1) as e on true;
end
$$;
