-- The gate of the new primary is open: k standbys hold everything up to its stamp.
create or replace function cluster.apply_serving(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_newest cluster.epoch := cluster.newest_epoch();
begin
  if v_newest.epoch is distinct from (p_body ->> 'epoch')::bigint then
    return 'stale_epoch';
  elsif v_newest.state <> 'promoted' then
    return 'not_promoted';
  end if;
  update cluster.epoch
     set state = 'serving', serving_at = (p_body ->> 'at')::timestamptz,
         write_gap_ms = (p_body ->> 'write_gap_ms')::integer
   where epoch = v_newest.epoch;
  update cluster.member set state = 'attached'
   where node_id = v_newest.node_id and state <> 'attached';
  perform cluster.note(p_term, p_body, 'primary_serving', v_newest.node_id, 'promoted', 'serving',
                       format('node %s takes writes', v_newest.node_id),
                       jsonb_build_object('write_gap_ms', p_body -> 'write_gap_ms'));
  return 'ok';
end
$$;
