-- Take the replicated state as the newest applied entry left it, in parts of about so many bytes each.
--
-- All is read by one query, and so at one moment, whatever is applied meanwhile; row by row, so that it takes no more
-- memory than a part does, however much there is.  It takes the place of the snapshot taken before.
create or replace function raft.take_snapshot(p_part_bytes integer)
returns table (id uuid, index bigint, term bigint, hash text, parts integer)
language plpgsql volatile set search_path = '' as $$
declare
  v_row   record;
  v_table text;
  v_rows  jsonb[];
  v_part  jsonb := '{}';
  v_bytes bigint := 0;
  v_parts integer := 1;
begin
  truncate raft.snapshot, raft.snapshot_part;
  for v_row in
    with here as materialized (
      select s.applied_index as index, raft.term_at(s.applied_index) as term, raft.hash_at(s.applied_index) as hash
        from raft.hard_state as s
    )
    select h.*, r.of_table, r.content from here as h cross join cluster.state_row as r
  loop
    if v_row.of_table <> v_table or v_bytes > p_part_bytes then
      v_part := v_part || jsonb_build_object(v_table, v_rows);
      v_rows := '{}';
    end if;
    if v_bytes > p_part_bytes then
      insert into raft.snapshot_part (part, rows) values (v_parts, v_part);
      v_parts := v_parts + 1;
      v_part := '{}';
      v_bytes := 0;
    end if;
    v_table := v_row.of_table;
    v_rows := v_rows || v_row.content;
    v_bytes := v_bytes + pg_column_size(v_row.content);
  end loop;
  insert into raft.snapshot_part (part, rows) values (v_parts, v_part || jsonb_build_object(v_table, v_rows));
  insert into raft.snapshot (id, index, term, hash, parts)
  values (gen_random_uuid(), v_row.index, v_row.term, v_row.hash, v_parts);
  return query
  select s.id, s.index, s.term, encode(s.hash, 'hex'), s.parts from raft.snapshot as s;
end
$$;
