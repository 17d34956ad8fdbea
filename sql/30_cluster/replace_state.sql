-- The replicated state becomes that of a snapshot which is here whole: the other half of cluster.state_row.
--
-- What applying its entries would have done to this node's own promises is done too: it is pledged for the newest epoch
-- (H01, H21), and a hand-over that is not under way has not ended.
create or replace function cluster.replace_state(p_snapshot uuid) returns void
language plpgsql volatile set search_path = '' as $$
declare
  v_unknown text;
begin
  select min(k.name) into v_unknown
    from raft.arrived_part as p cross join lateral jsonb_object_keys(p.rows) as k (name)
   where p.id = p_snapshot and to_regclass('cluster.' || quote_ident(k.name)) is null;
  if v_unknown is not null then
    raise exception using errcode = 'RF015',
      message = format('table %s of a snapshot is unknown to this version', v_unknown);
  end if;

  delete from cluster.state;
  insert into cluster.state select r.* from raft.arrived(p_snapshot, 'state') as a,
    jsonb_populate_recordset(null::cluster.state, a) as r;
  delete from cluster.setting;
  insert into cluster.setting select r.* from raft.arrived(p_snapshot, 'setting') as a,
    jsonb_populate_recordset(null::cluster.setting, a) as r;
  delete from cluster.member;
  insert into cluster.member select r.* from raft.arrived(p_snapshot, 'member') as a,
    jsonb_populate_recordset(null::cluster.member, a) as r;
  delete from cluster.former_incarnation;
  insert into cluster.former_incarnation select r.* from raft.arrived(p_snapshot, 'former_incarnation') as a,
    jsonb_populate_recordset(null::cluster.former_incarnation, a) as r;
  delete from cluster.former_member;
  insert into cluster.former_member select r.* from raft.arrived(p_snapshot, 'former_member') as a,
    jsonb_populate_recordset(null::cluster.former_member, a) as r;
  delete from cluster.epoch;
  insert into cluster.epoch select r.* from raft.arrived(p_snapshot, 'epoch') as a,
    jsonb_populate_recordset(null::cluster.epoch, a) as r;
  delete from cluster.request;
  insert into cluster.request select r.* from raft.arrived(p_snapshot, 'request') as a,
    jsonb_populate_recordset(null::cluster.request, a) as r;
  delete from cluster.event;
  insert into cluster.event select r.* from raft.arrived(p_snapshot, 'event') as a,
    jsonb_populate_recordset(null::cluster.event, a) as r;
  delete from cluster.proposal;
  insert into cluster.proposal select r.* from raft.arrived(p_snapshot, 'proposal') as a,
    jsonb_populate_recordset(null::cluster.proposal, a) as r;
  delete from cluster.entry;
  insert into cluster.entry select r.* from raft.arrived(p_snapshot, 'entry') as a,
    jsonb_populate_recordset(null::cluster.entry, a) as r;
  delete from cluster.kv;
  insert into cluster.kv select r.* from raft.arrived(p_snapshot, 'kv') as a,
    jsonb_populate_recordset(null::cluster.kv, a) as r;
  delete from cluster.kv_total;
  insert into cluster.kv_total select r.* from raft.arrived(p_snapshot, 'kv_total') as a,
    jsonb_populate_recordset(null::cluster.kv_total, a) as r;

  update node.pledge as p set epoch = greatest(p.epoch, (cluster.newest_epoch()).epoch);
  delete from node.handed_over as h
   where not exists (select from cluster.epoch as e where e.epoch = h.epoch and e.handover_to is not null);
end
$$;
