-- A value as a libpq connection string takes it.
create or replace function pgreplica.conninfo_value(p_value text) returns text
language sql immutable set search_path = '', pg_temp as $$
  select '''' || replace(replace(p_value, '\', '\\'), '''', '\''') || '''';
$$;
