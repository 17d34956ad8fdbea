-- Of a snapshot on its way in: for each part, the rows of one table.
create or replace function raft.arrived(p_snapshot uuid, p_table text) returns setof jsonb
language sql stable set search_path = '' as $$
  select p.rows -> p_table from raft.arrived_part as p where p.id = p_snapshot and p.rows ? p_table;
$$;
