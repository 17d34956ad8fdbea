-- The wall clock, for display only: no decision reads it, and tests may replace it.
create or replace function raft.now() returns timestamptz
language plpgsql volatile set search_path = '' as $$
begin
  return clock_timestamp();
end
$$;
