-- A key as it may be: 1 to 255 bytes, no control characters.
create or replace function node.kv_key(p_key text) returns text
language plpgsql immutable set search_path = '', pg_temp as $$
begin
  if p_key is null then
    raise exception using errcode = 'null_value_not_allowed', message = 'key is null',
      hint = 'A key is a text of 1 to 255 bytes.';
  elsif octet_length(p_key) not between 1 and 255 then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('key has %s bytes', octet_length(p_key)), hint = 'A key is a text of 1 to 255 bytes.';
  elsif p_key collate "C" ~ '[\u0001-\u001f\u007f-\u009f]' then
    raise exception using errcode = 'invalid_parameter_value',
      message = format('key %s has a control character', to_jsonb(p_key)), hint = 'A key is printable text.';
  end if;
  return p_key;
end
$$;
