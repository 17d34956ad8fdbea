-- The replicated state becomes that of a snapshot which is here whole: the other half of cluster.state_row.
--
-- One table's rows of one part at a time, so that it takes no more memory, and no temporary file, than a part does.
-- What applying its entries would have done to this node's own promises is done too: it is pledged for the newest epoch
-- (H01, H21), and a hand-over that is not under way has not ended.
create or replace function cluster.replace_state(p_snapshot uuid) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_part  integer;
  v_table text;
  v_rows  jsonb;
begin
  delete from cluster.state;
  delete from cluster.setting;
  delete from cluster.member;
  delete from cluster.former_incarnation;
  delete from cluster.former_member;
  delete from cluster.epoch;
  delete from cluster.request;
  delete from cluster.event;
  delete from cluster.proposal;
  delete from cluster.entry;
  delete from cluster.kv;
  delete from cluster.kv_total;

  for v_part in select p.part from raft.arrived_part as p where p.id = p_snapshot order by p.part loop
    for v_table, v_rows in
      select e.key, e.value from raft.arrived_part as p cross join jsonb_each(p.rows) as e
       where p.id = p_snapshot and p.part = v_part
    loop
      perform cluster.put_rows(v_table, v_rows);
    end loop;
  end loop;

  update node.pledge as p set epoch = greatest(p.epoch, (cluster.newest_epoch()).epoch);
  delete from node.handed_over as h
   where not exists (select from cluster.epoch as e where e.epoch = h.epoch and e.handover_to is not null);
end
$$;
