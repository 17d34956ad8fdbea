-- Committed entries from one place to another: as the log has them, and those of users where it is compacted.
create or replace function node.pgraft_entries(p_from bigint, p_to bigint, p_most integer) returns jsonb
language sql stable set search_path = '', pg_temp as $$
  select jsonb_agg(to_jsonb(r) order by r.index)
    from (select *
            from (select l.index, l.term,
                         case when l.kind = 'entry'       then 'user'
                              when l.kind like 'kv\_%'    then 'kv'
                              when l.kind = 'noop'        then 'noop'
                              when l.kind in ('register', 'readmit', 'voter', 'add_member', 'leave', 'remove', 'move')
                                                          then 'member'
                              else 'settings' end as kind,
                         case when l.kind = 'entry' then node.pgraft_entry(l.index) else l.body::text end as data,
                         l.body ->> 'request_id' as request_id,
                         coalesce(l.body ->> 'asked', l.body ->> 'node_id')::integer as proposed_by,
                         (l.body ->> 'at')::timestamptz as proposed_at,
                         l.index <= h.applied_index as applied
                    from raft.log as l cross join raft.hard_state as h
                   where l.index <= h.commit_index and l.index > h.snapshot_index
                  union all
                  select e.index, e.term, 'user', node.pgraft_entry(e.index), e.request_id, e.node_id, e.at, true
                    from cluster.entry as e cross join raft.hard_state as h
                   where e.item = 1 and e.index <= h.snapshot_index) as a
           where a.index >= p_from and a.index <= coalesce(p_to, 9223372036854775807)
           order by a.index limit node.max_rows(p_most, 1000)) as r;
$$;
