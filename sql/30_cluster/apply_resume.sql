-- Automatic failover is on again.
create or replace function cluster.apply_resume(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
begin
  update cluster.state set paused_why = null where paused_why is not null;
  if found then
    perform cluster.note(p_term, p_body, 'resumed', null, 'paused', null,
                         'automatic failover is on again', jsonb_build_object('by', p_body -> 'by'));
  end if;
  return 'ok';
end
$$;
