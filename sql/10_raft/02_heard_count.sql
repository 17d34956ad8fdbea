-- How often this boot has heard a leader; a fresh sequence says 1 both before and after its first use.
create or replace function raft.heard_count() returns bigint
language plpgsql volatile set search_path = '' as $$
begin
  return (
    select case when h.is_called then h.last_value else 0 end from raft.heard as h);
end
$$;
