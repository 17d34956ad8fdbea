-- A change of the members is on record as a request of its own, running from the start; asked twice with one key it is
-- one.
create or replace function cluster.open_request(
  p_body jsonb, p_kind text, p_from integer, p_to integer, p_reason text
) returns void
language plpgsql volatile set search_path = '' as $$
begin
  insert into cluster.request (request_id, key, kind, state, args, from_node, to_node, reason,
                               requested_by, requested_at)
  select coalesce(max(r.request_id), 0) + 1, (p_body ->> 'key')::uuid, p_kind, 'running',
         jsonb_build_object('target', coalesce(p_to, p_from)), p_from, p_to, p_reason,
         p_body ->> 'by', (p_body ->> 'at')::timestamptz
    from cluster.request as r
  on conflict (key) do nothing;
end
$$;
