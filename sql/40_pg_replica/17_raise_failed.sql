-- A failed request is an error, so that scripts stop: its own SQLSTATE, reason and hint.
create or replace function node.raise_failed(p_request cluster.request) returns void
language plpgsql volatile set search_path = '', pg_temp as $$
begin
  raise exception using
    errcode = coalesce(p_request.sqlstate, 'RF010'),
    message = coalesce(p_request.reason, format('the %s failed', p_request.kind)),
    detail = format('Request %s, a %s asked for by %s.',
                    p_request.request_id, p_request.kind, p_request.requested_by),
    hint = coalesce(p_request.hint, 'See pg_replica.explain() for each node, and pg_replica.events().');
end
$$;
