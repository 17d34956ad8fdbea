-- The same place in the log, unless what users put in there may be forgotten (RF005).
create or replace function node.pgraft_kept(p_index bigint) returns bigint
language plpgsql stable set search_path = '', pg_temp as $$
declare
  v_through bigint := (select s.entries_through from cluster.state as s);
begin
  if p_index between 1 and v_through then
    raise exception using errcode = 'RF005',
      message = format('pgraft: entry %s was compacted; first index is %s', p_index, v_through + 1);
  end if;
  return p_index;
end
$$;
