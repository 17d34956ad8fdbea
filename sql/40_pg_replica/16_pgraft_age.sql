-- An age in milliseconds as the pgraft interface writes it: `0.042s`.
create or replace function node.pgraft_age(p_ms integer) returns text
language sql immutable set search_path = '', pg_temp as $$
  select round(p_ms / 1000.0, 3) || 's';
$$;
