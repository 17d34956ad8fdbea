-- A request that still waits is given up.
create or replace function cluster.apply_cancel(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_id bigint := (p_body ->> 'request_id')::bigint;
begin
  update cluster.request
     set state = 'failed', reason = 'cancelled', finished_at = (p_body ->> 'at')::timestamptz
   where request_id = v_id and state = 'waiting';
  if not found then
    return 'not_waiting';
  end if;
  perform cluster.note(p_term, p_body, 'request_finished', null, 'waiting', 'failed', 'cancelled',
                       jsonb_build_object('request_id', v_id));
  return 'ok';
end
$$;
