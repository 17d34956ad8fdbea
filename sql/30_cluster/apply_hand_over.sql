-- A planned switchover begins: the primary drains and stops cleanly, still in its epoch.
create or replace function cluster.apply_hand_over(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_newest cluster.epoch := cluster.newest_epoch();
begin
  if v_newest.epoch is distinct from (p_body ->> 'epoch')::bigint then
    return 'stale_epoch';
  elsif v_newest.state <> 'serving' then
    return 'not_serving';
  elsif v_newest.handover_to is not null then
    return 'under_way';
  end if;
  update cluster.epoch
     set handover_to = (p_body ->> 'to')::integer,
         handover_request = (p_body ->> 'request_id')::bigint
   where epoch = v_newest.epoch;
  perform cluster.note(p_term, p_body, 'handover_started', v_newest.node_id, 'serving', 'hand_over',
                       format('node %s drains for node %s', v_newest.node_id, p_body ->> 'to'));
  return 'ok';
end
$$;
