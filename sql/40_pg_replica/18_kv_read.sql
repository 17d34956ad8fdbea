-- Read keys as this node has them, after a barrier unless the caller takes what may be old.
create or replace function node.kv_read(p_function text, p_args jsonb) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_key text := case when p_function not in ('kv_list', 'kv_list_keys') then node.kv_key(p_args ->> 'key') end;
begin
  perform node.read_barrier(p_args ->> 'consistency', coalesce((p_args ->> 'limit_ms')::integer, 3800));
  if p_args ->> 'consistency' = 'linearizable' then
    perform nextval('node.kv_gets');
  end if;
  -- Statements, not one expression: only the one that is meant is prepared.
  case p_function
    when 'kv_get' then
      return (select to_jsonb(k.value) from node.kv_live as k where k.key = v_key);
    when 'kv_exists' then
      return to_jsonb(exists (select from node.kv_live as k where k.key = v_key));
    when 'kv_get_entry' then
      return (select jsonb_build_array(to_jsonb(k)) from node.kv_live as k where k.key = v_key);
    when 'kv_list' then
      return (
        select jsonb_agg(to_jsonb(r) order by r.key collate "C")
          from (select k.key, k.value, k.version, k.updated_at
                  from node.kv_live as k
                 where k.key ^@ coalesce(p_args ->> 'prefix', '')
                   and k.key > coalesce(p_args ->> 'after_key', '')
                 order by k.key limit node.max_rows((p_args ->> 'max_rows')::integer, 1000)) as r);
    when 'kv_list_keys' then
      return (
        select jsonb_agg(k.key order by k.key)
          from node.kv_live as k where k.key ^@ coalesce(p_args ->> 'prefix', ''));
    when 'kv_history' then
      return (
        select jsonb_agg(to_jsonb(r) order by r.version)
          from (select k.version, k.value, k.created_version, k.at as updated_at
                  from cluster.kv as k
                 where k.key = v_key and k.version > coalesce((p_args ->> 'after_version')::bigint, 0)
                 order by k.version limit node.max_rows((p_args ->> 'max_rows')::integer, 1000)) as r);
  end case;
end
$$;
