-- No automatic failover until resumed; fencing stays.
create or replace function cluster.apply_pause(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
begin
  update cluster.state set paused_why = coalesce(p_body ->> 'why', 'no reason given');
  perform cluster.note(p_term, p_body, 'paused', null, null, 'paused',
                       coalesce(p_body ->> 'why', 'no reason given'),
                       jsonb_build_object('by', p_body -> 'by'));
  return 'ok';
end
$$;
