-- The appointed node has promoted: where its timeline began, and where its stamp ends.
create or replace function cluster.apply_promoted(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_newest cluster.epoch := cluster.newest_epoch();
begin
  if v_newest.epoch is distinct from (p_body ->> 'epoch')::bigint then
    return 'stale_epoch';
  elsif v_newest.state <> 'appointed' then
    return 'not_appointed';
  end if;
  update cluster.epoch
     set state = 'promoted', switch_lsn = (p_body ->> 'switch_lsn')::pg_lsn,
         stamp_lsn = (p_body ->> 'stamp_lsn')::pg_lsn
   where epoch = v_newest.epoch;
  perform cluster.note(p_term, p_body, 'primary_promoted', v_newest.node_id, 'appointed', 'promoted',
                       format('node %s promoted on timeline %s at %s', v_newest.node_id,
                              v_newest.timeline, p_body ->> 'switch_lsn'));
  return 'ok';
end
$$;
