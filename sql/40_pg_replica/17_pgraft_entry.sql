-- The data of a committed user entry; null where none is.  What users put in outlives the compaction of the log.
-- A batch of pg_replica.replicate() is told as a JSON list.
create or replace function node.pgraft_entry(p_index bigint) returns text
language sql stable set search_path = '', pg_temp as $$
  select case when jsonb_array_length(d.data) = 1 then d.data ->> 0 else d.data::text end
    from (select l.body -> 'data'
            from raft.log as l cross join raft.hard_state as h
           where l.index = p_index and l.kind = 'entry' and l.index > h.applied_index and l.index <= h.commit_index
          union all
          select jsonb_agg(e.data order by e.item) from cluster.entry as e where e.index = p_index
          having count(*) > 0) as d (data);
$$;
