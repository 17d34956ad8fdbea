-- Something that happened to a member, for the record.
create or replace function cluster.apply_event(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
begin
  perform cluster.note(p_term, p_body, p_body ->> 'event', (p_body ->> 'node_id')::integer,
                       p_body ->> 'from_state', p_body ->> 'to_state', p_body ->> 'reason',
                       coalesce(p_body -> 'detail', '{}'));
  return 'ok';
end
$$;
