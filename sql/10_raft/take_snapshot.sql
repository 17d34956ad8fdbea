-- Take the replicated state as the newest applied entry left it, in parts of about so many bytes each.
--
-- One statement, and so one moment, whatever is applied meanwhile.  It takes the place of the snapshot taken before.
create or replace function raft.take_snapshot(p_part_bytes integer)
returns table (id uuid, index bigint, term bigint, hash text, parts integer)
language plpgsql volatile set search_path = '' as $$
begin
  delete from raft.snapshot_part;
  delete from raft.snapshot;
  with weighed as (
    select r.of_table, r.content,
           sum(octet_length(r.content::text)) over (rows unbounded preceding) / p_part_bytes as place
      from cluster.state_row as r
  ), listed as (
    select w.place, w.of_table, jsonb_agg(w.content) as contents from weighed as w group by w.place, w.of_table
  ), part as (
    insert into raft.snapshot_part (part, rows)
    select row_number() over (order by l.place), jsonb_object_agg(l.of_table, l.contents)
      from listed as l group by l.place
    returning snapshot_part.part
  )
  insert into raft.snapshot (id, index, term, hash, parts)
  select gen_random_uuid(), s.applied_index, raft.term_at(s.applied_index), raft.hash_at(s.applied_index),
         (select count(*) from part)
    from raft.hard_state as s;
  return query
  select s.id, s.index, s.term, encode(s.hash, 'hex'), s.parts from raft.snapshot as s;
end
$$;
