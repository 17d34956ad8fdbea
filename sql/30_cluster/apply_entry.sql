-- What a user put into the log: one item, or a batch that stands or falls together.  Where the body names a term, only
-- in that one: a fencing token.
create or replace function cluster.apply_entry(p_index bigint, p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_number bigint;
  v_bytes  bigint;
begin
  if (p_body ->> 'term')::bigint <> p_term then
    return 'stale_term';
  end if;
  select e.number, e.total_bytes into v_number, v_bytes
    from cluster.entry as e order by e.index desc, e.item desc limit 1;
  insert into cluster.entry (index, item, term, data, request_id, node_id, at, number, total_bytes)
  select p_index, d.item, p_term, d.data, p_body ->> 'request_id', (p_body ->> 'asked')::integer,
         (p_body ->> 'at')::timestamptz, coalesce(v_number, 0) + d.item,
         coalesce(v_bytes, 0) + sum(octet_length(d.data)) over (order by d.item)
    from jsonb_array_elements_text(p_body -> 'data') with ordinality as d (data, item);
  perform pg_notify('pg_replica_entry', jsonb_build_object(
    'index', p_index, 'items', jsonb_array_length(p_body -> 'data'))::text);
  return 'ok';
end
$$;
