-- The numbers that this node's data directory may hold; none: any directory will do (H56).
create or replace function node.data_life() returns text[]
language sql stable set search_path = '' as $$
  select known from node.data_life;
$$;
