-- Up to where entries of users are to be forgotten now: the newest are kept, by number and by bytes, whole batches.
create or replace function cluster.entries_beyond() returns bigint
language plpgsql stable set search_path = '' as $$
declare
  v_items  bigint := cluster.setting_value('kept_entries');
  v_bytes  bigint := cluster.setting_value('kept_entry_bytes');
  v_oldest cluster.entry;
  v_newest cluster.entry;
begin
  select * into v_oldest from cluster.entry order by index, item limit 1;
  select * into v_newest from cluster.entry order by index desc, item desc limit 1;
  if (cluster.surplus(v_newest.number - v_oldest.number + 1, v_items) > 0
      or v_newest.total_bytes - v_oldest.total_bytes > v_bytes * 11 / 10) is not true then
    return 0;
  end if;
  return (
    select max(b.index)
      from (select e.index, max(e.number) as number, max(e.total_bytes) as total_bytes
              from cluster.entry as e
             where e.index <= (select max(o.index) from (
                     select n.index from cluster.entry as n order by n.index, n.item limit 2000) as o)
             group by e.index) as b
     where v_newest.number - b.number >= v_items or v_newest.total_bytes - b.total_bytes >= v_bytes);
end
$$;
