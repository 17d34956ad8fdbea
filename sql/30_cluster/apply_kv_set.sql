-- Give a key a new value, or delete it (value null); with expected_version only while that is its version, 0: absent.
create or replace function cluster.apply_kv_set(p_index bigint, p_body jsonb) returns text
language plpgsql volatile set search_path = '' as $$
declare
  v_key      text   := p_body ->> 'key';
  v_value    text   := p_body ->> 'value';
  v_expected bigint := (p_body ->> 'expected_version')::bigint;
  v_now      cluster.kv;
begin
  select k.* into v_now from cluster.kv as k where k.key = v_key and k.replaced_by is null;
  if v_expected <> (case when v_now.value is null then 0 else v_now.version end) then
    return 'version_differs';
  elsif v_value is null and v_now.value is null then
    return 'absent';
  end if;
  update cluster.kv set replaced_by = p_index where key = v_key and replaced_by is null;
  insert into cluster.kv (key, version, value, created_version, at)
  values (v_key, p_index, v_value, case when v_now.value is null then p_index else v_now.created_version end,
          (p_body ->> 'at')::timestamptz);
  update cluster.kv_total
     set puts = puts + (v_value is not null)::int, deletes = deletes + (v_value is null)::int;
  perform pg_notify('pg_replica_kv', jsonb_build_object('key', v_key, 'version', p_index)::text);
  return 'ok';
end
$$;
