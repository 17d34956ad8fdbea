-- What is wrong with this node: a list of sentences, null when nothing is.
create or replace function node.pgraft_test() returns jsonb
language sql stable set search_path = '', pg_temp as $$
  select jsonb_agg(f.finding)
    from (
      select format('setting %s is off', s.name)
        from pg_settings as s
       where s.name in ('fsync', 'full_page_writes', 'synchronous_commit') and s.setting = 'off'
      union all
      select format('applied is %s, committed is %s, last is %s', h.applied_index, h.commit_index, h.last_index)
        from raft.hard_state as h
       where not (h.applied_index <= h.commit_index and h.commit_index <= h.last_index)
      union all
      select format('the log has %s entries from %s to %s', n.entries, h.snapshot_index + 1, h.last_index)
        from raft.hard_state as h, (select count(*) from raft.log) as n (entries)
       where n.entries <> h.last_index - h.snapshot_index
      union all
      select format('entry %s does not match its checksum', min(l.index))
        from (select l.*, lag(l.hash) over (order by l.index) as previous from raft.log as l) as l
       cross join raft.hard_state as h
       where l.hash is distinct from raft.entry_hash(
               case when l.index = h.snapshot_index + 1 then h.snapshot_hash else l.previous end,
               l.index, l.term, l.kind, l.client, l.sequence, l.body)
      having count(*) > 0
      union all
      select 'applying the log has stopped: ' || h.alarm from raft.hard_state as h where h.alarm is not null
      union all
      select format('the worker is %s', w.state)
        from node.pgraft_worker_state() as w (state) where w.state in ('stopped')
    ) as f (finding);
$$;
