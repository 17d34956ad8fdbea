-- Delete every key at once.
create or replace function cluster.apply_kv_reset(p_index bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_deleted bigint;
begin
  update cluster.kv set replaced_by = p_index where replaced_by is null and value is not null;
  insert into cluster.kv (key, version, created_version, at)
  select k.key, p_index, k.created_version, (p_body ->> 'at')::timestamptz
    from cluster.kv as k where k.replaced_by = p_index;
  get diagnostics v_deleted = row_count;
  update cluster.kv_total set deletes = deletes + v_deleted;
  perform pg_notify('pg_replica_kv', jsonb_build_object('key', null, 'version', p_index)::text);
  return 'ok';
end
$$;
