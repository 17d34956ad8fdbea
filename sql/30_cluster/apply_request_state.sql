-- How a request goes on.  A finished one stays as it is.
create or replace function cluster.apply_request_state(p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_state   text := p_body ->> 'state';
  v_request cluster.request;
begin
  update cluster.request
     set state        = v_state,
         reason       = coalesce(p_body ->> 'reason', reason),
         from_node    = coalesce((p_body ->> 'from_node')::integer, from_node),
         to_node      = coalesce((p_body ->> 'to_node')::integer, to_node),
         epoch        = coalesce((p_body ->> 'epoch')::bigint, epoch),
         sqlstate     = coalesce(p_body ->> 'sqlstate', sqlstate),
         hint         = coalesce(p_body ->> 'hint', hint),
         write_gap_ms = coalesce((p_body ->> 'write_gap_ms')::integer, write_gap_ms),
         finished_at  = case when v_state in ('done', 'failed') then (p_body ->> 'at')::timestamptz end
   where request_id = (p_body ->> 'request_id')::bigint and state in ('waiting', 'running')
  returning * into v_request;
  if not found then
    return 'finished';
  end if;
  if v_state in ('done', 'failed') then
    perform cluster.note(p_term, p_body, 'request_finished', v_request.to_node, 'running', v_state,
                         coalesce(v_request.reason, v_request.kind || ' is ' || v_state),
                         jsonb_build_object('request_id', v_request.request_id));
  end if;
  return 'ok';
end
$$;
