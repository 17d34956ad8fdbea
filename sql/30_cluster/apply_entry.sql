-- What a user put into the log: one item, or a batch that stands or falls together.  Where the body names a term, only
-- in that one: a fencing token.
create or replace function cluster.apply_entry(p_index bigint, p_term bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_body   record;              -- unpacked once: it may be large
  v_number bigint;
  v_bytes  bigint;
begin
  select b.* into v_body
    from jsonb_to_record(p_body) as b (data jsonb, request_id text, asked integer, at timestamptz, term bigint);
  if v_body.term <> p_term then
    return 'stale_term';
  end if;
  select e.number, e.total_bytes into v_number, v_bytes
    from cluster.entry as e order by e.index desc, e.item desc limit 1;
  insert into cluster.entry (index, item, term, data, request_id, node_id, at, number, total_bytes)
  select p_index, d.item, p_term, d.data, v_body.request_id, v_body.asked, v_body.at,
         coalesce(v_number, 0) + d.item,
         coalesce(v_bytes, 0) + sum(octet_length(d.data)) over (order by d.item rows unbounded preceding)
    from jsonb_array_elements_text(v_body.data) with ordinality as d (data, item);
  perform pg_notify('pg_replica_entry', jsonb_build_object(
    'index', p_index, 'items', jsonb_array_length(v_body.data))::text);
  return 'ok';
end
$$;
