-- What a user put into the log: one item, or a batch that stands or falls together.  Where the body names a term, only
-- in that one: a fencing token.
create or replace function cluster.apply_entry(p_index bigint, p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
begin
  if (p_body ->> 'term')::bigint <> p_term then
    return 'stale_term';
  end if;
  insert into cluster.entry (index, item, term, data, request_id, node_id, at)
  select p_index, d.item, p_term, d.data, p_body ->> 'request_id', (p_body ->> 'node_id')::integer,
         (p_body ->> 'at')::timestamptz
    from jsonb_array_elements_text(p_body -> 'data') with ordinality as d (data, item);
  perform pg_notify('pg_replica_entry', jsonb_build_object(
    'index', p_index, 'items', jsonb_array_length(p_body -> 'data'))::text);
  return 'ok';
end
$$;
