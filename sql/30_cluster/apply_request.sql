-- An operator's request; asked twice with one key it is one request (H60).
create or replace function cluster.apply_request(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_id bigint;
begin
  if exists (select from cluster.request where key = (p_body ->> 'key')::uuid) then
    return 'ok';
  end if;
  insert into cluster.request (request_id, key, kind, state, args, requested_by, requested_at)
  select coalesce(max(request_id), 0) + 1, (p_body ->> 'key')::uuid, p_body ->> 'kind', 'waiting',
         p_body -> 'args', p_body ->> 'by', (p_body ->> 'at')::timestamptz
    from cluster.request
  returning request_id into v_id;
  perform cluster.note(p_term, p_body, 'request_made', null, null, 'waiting',
                       format('%s asked for a %s', p_body ->> 'by', p_body ->> 'kind'),
                       jsonb_build_object('request_id', v_id, 'args', p_body -> 'args'));
  return 'ok';
end
$$;
