-- The most that one entry or value holds, in bytes: an append with it must be over well within its limit.
create or replace function node.bytes_limit() returns integer
language sql immutable set search_path = '', pg_temp as $$
  select 1048576;
$$;
