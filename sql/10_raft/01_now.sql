-- The wall clock, for display only: no decision reads it, and tests may replace it.
create or replace function raft.now() returns timestamptz
language sql volatile set search_path = '' as $$
  select clock_timestamp();
$$;
