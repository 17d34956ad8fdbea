-- One node may promote for this epoch, on a timeline number that is never given out again (H35, H46).
create or replace function cluster.apply_appoint(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_newest   cluster.epoch := cluster.newest_epoch();
  v_node     integer := (p_body ->> 'node_id')::integer;
  v_timeline integer := (p_body ->> 'timeline')::integer;
begin
  if v_newest.epoch is distinct from (p_body ->> 'epoch')::bigint then
    return 'stale_epoch';
  elsif v_newest.state <> 'opened' then
    return 'not_opened';
  elsif v_timeline <= (select max(timeline) from cluster.epoch) then
    return 'timeline_used';
  end if;
  update cluster.epoch
     set state = 'appointed', node_id = v_node, timeline = v_timeline,
         from_epoch = (p_body ->> 'from_epoch')::bigint, from_lsn = (p_body ->> 'from_lsn')::pg_lsn,
         lost_bytes = greatest(lost_bytes, (p_body ->> 'lost_bytes')::bigint),
         old_fenced = coalesce((p_body ->> 'old_fenced')::boolean, false),
         appointed_at = (p_body ->> 'at')::timestamptz
   where epoch = v_newest.epoch;
  perform cluster.note(p_term, p_body, 'primary_appointed', v_node, 'opened', 'appointed',
                       p_body ->> 'reason',
                       jsonb_build_object('timeline', v_timeline, 'from_lsn', p_body ->> 'from_lsn',
                                          'from_epoch', p_body ->> 'from_epoch'));
  perform cluster.stay(p_term, p_body, v_node);
  return 'ok';
end
$$;
