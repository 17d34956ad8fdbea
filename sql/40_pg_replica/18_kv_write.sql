-- Change a key.  p_args: key; value, null to delete; expected_version.
--
-- kv_put answers with the new version, kv_delete whether the key was there, kv_cas with what holds afterwards.
create or replace function node.kv_write(p_function text, p_args jsonb) returns jsonb
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_key      text := node.kv_key(p_args ->> 'key');
  v_value    text := p_args ->> 'value';
  v_expected text := p_args ->> 'expected_version';
  v_done     record;            -- its place in the log, and its outcome
  v_now      record;
begin
  if p_function = 'kv_put' and v_value is null then
    raise exception using errcode = 'null_value_not_allowed', message = 'value is null',
      hint = 'pg_replica.kv_delete takes a key away.';
  elsif octet_length(v_value) > node.bytes_limit() then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('value has %s bytes', octet_length(v_value)),
      hint = format('A value holds at most %s bytes.', node.bytes_limit());
  elsif p_function = 'kv_cas' and v_expected is null then
    raise exception using errcode = 'null_value_not_allowed', message = 'expected_version is null',
      hint = 'It is the version the key must have; 0: it must be absent.';
  elsif v_expected::bigint < 0 then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('expected_version is %s', v_expected), hint = 'It is 0 (absent) or more.';
  end if;
  -- Versions travel as text: the worker would round a large JSON number.
  v_done := node.propose(null, 'kv_set', jsonb_build_object(
    'key', v_key, 'value', v_value, 'expected_version', v_expected),
    coalesce((p_args ->> 'limit_ms')::integer, 3800));
  if p_function = 'kv_put' then
    return to_jsonb(v_done.log_index);
  elsif p_function = 'kv_delete' then
    return to_jsonb(v_done.outcome = 'ok');
  elsif v_done.outcome = 'version_differs' then
    select * into v_now from node.kv_at(v_key, v_done.log_index);
    return jsonb_build_object('swapped', false, 'version', v_now.version, 'value', v_now.value);
  end if;
  return jsonb_build_object('swapped', true, 'value', v_value,
                            'version', case when v_value is null then 0 else v_done.log_index end);
end
$$;
