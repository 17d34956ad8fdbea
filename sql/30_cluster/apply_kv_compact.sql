-- Forget deleted keys and all versions that were replaced, on every node at this place in the log.
create or replace function cluster.apply_kv_compact(p_index bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
begin
  delete from cluster.kv where replaced_by is not null or value is null;
  update cluster.kv_total set compacted_version = p_index;
  return 'ok';
end
$$;
