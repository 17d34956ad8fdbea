-- How often this boot has heard a leader; a fresh sequence says 1 both before and after its first use.
create or replace function raft.heard_count() returns bigint
language sql volatile set search_path = '' as $$
  select case when h.is_called then h.last_value else 0 end from raft.heard as h;
$$;
