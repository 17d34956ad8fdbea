-- From here on this data server takes WAL from, or leads, that epoch: its report no longer stands.
create or replace function node.follow(p_epoch bigint) returns void
language plpgsql volatile set search_path = '' as $$
begin
  perform set_config('synchronous_commit', 'on', true);
  if p_epoch < (select epoch from node.pledge) then
    raise exception using errcode = 'RF010',
      message = format('epoch %s is below the pledge for epoch %s', p_epoch,
                       (select epoch from node.pledge));
  end if;
  update node.followed set epoch = p_epoch where epoch < p_epoch;
  delete from node.report where epoch <= p_epoch;
end
$$;
