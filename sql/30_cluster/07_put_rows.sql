-- Rows of one table of the replicated state, as cluster.state_row told them elsewhere.
create or replace function cluster.put_rows(p_table text, p_rows jsonb) returns void
language plpgsql volatile set search_path = '' as $$
begin
  case p_table
    when 'state' then
      insert into cluster.state select * from jsonb_populate_recordset(null::cluster.state, p_rows);
    when 'setting' then
      insert into cluster.setting select * from jsonb_populate_recordset(null::cluster.setting, p_rows);
    when 'member' then
      insert into cluster.member select * from jsonb_populate_recordset(null::cluster.member, p_rows);
    when 'former_incarnation' then
      insert into cluster.former_incarnation
      select * from jsonb_populate_recordset(null::cluster.former_incarnation, p_rows);
    when 'former_member' then
      insert into cluster.former_member select * from jsonb_populate_recordset(null::cluster.former_member, p_rows);
    when 'epoch' then
      insert into cluster.epoch select * from jsonb_populate_recordset(null::cluster.epoch, p_rows);
    when 'request' then
      insert into cluster.request select * from jsonb_populate_recordset(null::cluster.request, p_rows);
    when 'event' then
      insert into cluster.event select * from jsonb_populate_recordset(null::cluster.event, p_rows);
    when 'proposal' then
      insert into cluster.proposal select * from jsonb_populate_recordset(null::cluster.proposal, p_rows);
    when 'entry' then
      insert into cluster.entry select * from jsonb_populate_recordset(null::cluster.entry, p_rows);
    when 'kv' then
      insert into cluster.kv select * from jsonb_populate_recordset(null::cluster.kv, p_rows);
    when 'kv_total' then
      insert into cluster.kv_total select * from jsonb_populate_recordset(null::cluster.kv_total, p_rows);
    else
      raise exception using errcode = 'RF015',
        message = format('table %s of a snapshot is unknown to this version', p_table);
  end case;
end
$$;
