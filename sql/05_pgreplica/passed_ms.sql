-- How long a step of some waiting took, in milliseconds: measured, as a loaded machine sleeps longer than it was told
-- to; kept between two bounds, as the wall clock may jump.
create or replace function pgreplica.passed_ms(p_since timestamptz, p_least integer, p_most integer) returns integer
language plpgsql volatile set search_path = '' as $$
begin
  return least(p_most, greatest(p_least, extract(epoch from pg_catalog.clock_timestamp() - p_since) * 1000));
end
$$;
comment on function pgreplica.passed_ms(timestamptz, integer, integer) is
  'milliseconds since a moment, kept between two bounds';
