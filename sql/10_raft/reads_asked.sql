-- The newest ticket of those who want to read, 0 when all are answered.
create or replace function raft.reads_asked() returns bigint
language plpgsql volatile set search_path = '' as $$
begin
  return (
    select case when a.is_called and a.last_value > c.last_value then a.last_value else 0 end
      from raft.read_asked as a cross join raft.read_answered as c);
end
$$;
