-- The term of our entry at an index; 0 before the first, null beyond the last.
create or replace function raft.term_at(p_index bigint) returns bigint
language plpgsql stable set search_path = '' as $$
begin
  return (
    select case when p_index = 0 then 0
                else (select l.term from raft.log as l where l.index = p_index) end);
end
$$;
