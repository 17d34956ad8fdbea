-- How many of so many are to be forgotten now: none before it is worth a command, and never so many that an append
-- behind them notices.
create or replace function cluster.surplus(p_there bigint, p_kept bigint) returns bigint
language sql immutable set search_path = '' as $$
  select case when p_there - p_kept > least(1000, p_kept / 10) then least(p_there - p_kept, 2000) else 0 end;
$$;
