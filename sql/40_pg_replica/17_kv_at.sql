-- What a key held right after an entry was applied, as version and value; version 0 for an absent one.  Where a
-- compaction has come in between, what it holds now.
create or replace function node.kv_at(p_key text, p_index bigint, out version bigint, out value text)
language plpgsql stable set search_path = '', pg_temp as $$
declare
  v_then bigint := case when (select t.compacted_version from cluster.kv_total as t) > p_index
                        then 9223372036854775806 else p_index end;
begin
  select k.version, k.value into version, value
    from cluster.kv as k
   where k.key = p_key and k.value is not null
     and k.version <= v_then and coalesce(k.replaced_by > v_then, true);
  version := coalesce(version, 0);
end
$$;
