-- The hand-over was given up before the primary stopped: it opens its gate again.
create or replace function cluster.apply_keep_primary(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_newest cluster.epoch := cluster.newest_epoch();
begin
  if v_newest.epoch is distinct from (p_body ->> 'epoch')::bigint then
    return 'stale_epoch';
  elsif v_newest.handover_to is null then
    return 'not_under_way';
  end if;
  update cluster.epoch set handover_to = null, handover_request = null where epoch = v_newest.epoch;
  delete from node.handed_over where epoch = v_newest.epoch;
  perform cluster.note(p_term, p_body, 'handover_cancelled', v_newest.node_id, 'hand_over', 'serving',
                       p_body ->> 'reason');
  return 'ok';
end
$$;
