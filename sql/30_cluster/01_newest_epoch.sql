-- The newest epoch, or a row of nulls before the first.
create or replace function cluster.newest_epoch() returns cluster.epoch
language plpgsql stable set search_path = '' as $$
declare
  v_epoch cluster.epoch;
begin
  select * into v_epoch from cluster.epoch order by epoch desc limit 1;
  return v_epoch;
end
$$;
