-- A report is made for the epoch this node has pledged, and for no other (H01).
create or replace function node.require_pledge(p_epoch bigint) returns void
language plpgsql stable set search_path = '' as $$
declare
  v_pledge bigint := (select epoch from node.pledge);
begin
  if p_epoch <> v_pledge then
    raise exception using errcode = 'RF010',
      message = format('the pledge is for epoch %s, not %s', v_pledge, p_epoch);
  end if;
end
$$;
