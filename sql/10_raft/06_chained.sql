-- Entries of a leader as rows of our log, from one on: each with the hash that covers those before it (H57).
create or replace function raft.chained(p_entries jsonb, p_first bigint) returns setof raft.log
language plpgsql stable set search_path = '' as $$
declare
  v_hash bytea := raft.hash_at(p_first - 1);
  v_row  raft.log;
begin
  for v_row in
    select e.i, e.t, e.k, e.c, e.s, e.b, null::bytea
      from jsonb_to_recordset(p_entries) as e (i bigint, t bigint, k text, c uuid, s bigint, b jsonb)
     where e.i >= p_first order by e.i
  loop
    v_hash := raft.entry_hash(v_hash, v_row.index, v_row.term, v_row.kind, v_row.client, v_row.sequence, v_row.body);
    v_row.hash := v_hash;
    return next v_row;
  end loop;
end
$$;
