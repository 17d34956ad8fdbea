-- A new epoch: every member that applies this pledges for it, durably, in this very transaction (H01, H21).
create or replace function cluster.apply_open_epoch(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_newest cluster.epoch := cluster.newest_epoch();
  v_epoch  bigint := (p_body ->> 'epoch')::bigint;
  v_old    integer;
begin
  if v_newest.epoch is null or v_epoch <> v_newest.epoch + 1 then
    return 'stale_epoch';
  end if;
  select e.node_id into v_old from cluster.epoch as e
   where e.node_id is not null order by e.epoch desc limit 1;
  update cluster.epoch set state = 'superseded' where epoch = v_newest.epoch;
  insert into cluster.epoch (epoch, state, cause, reason, term, opened_at, old_primary, request_id)
  values (v_epoch, 'opened', p_body ->> 'cause', p_body ->> 'reason', p_term,
          (p_body ->> 'at')::timestamptz, v_old, (p_body ->> 'request_id')::bigint);
  update node.pledge set epoch = v_epoch where epoch < v_epoch;
  perform cluster.note(p_term, p_body, 'epoch_opened', v_old, v_newest.state, 'opened',
                       p_body ->> 'reason', jsonb_build_object('cause', p_body ->> 'cause'));
  return 'ok';
end
$$;
